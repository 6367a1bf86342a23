/** The passwords that guessers try first. The list is zxcvbn's: nearly 50,000 of those most often leaked, in lower case. */
import { dictionary } from "@zxcvbn-ts/language-common";

const COMMON = new Set(dictionary["passwords-common"]);

/** Case is not looked at: guessers try `Password1` right after `password1`. */
export function isCommonPassword(password: string): boolean {
  return COMMON.has(password.normalize("NFKC").toLowerCase());
}
