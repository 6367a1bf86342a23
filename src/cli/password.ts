/** Where a command gets a password from. Never an argument: those are in the shell's history and in everyone's `ps`. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";

export interface PasswordSource {
  readonly passwordFile?: string;
  readonly passwordStdin?: boolean;
}

/** The name of the variable that {@link readPassword} gets the value of. */
export const PASSWORD_VARIABLE = "SCATTERVAULT_PASSWORD";

/** No password was given, and nobody can be asked. */
export class NoPasswordError extends Error {
  override readonly name = "NoPasswordError";

  constructor() {
    super(`no password: use --password-file, --password-stdin or ${PASSWORD_VARIABLE}, or a terminal`);
  }
}

/** From the file, standard input, the environment, or whoever sits at the terminal. Throws {@link NoPasswordError}. */
export async function readPassword(source: PasswordSource, variable: string | undefined): Promise<string> {
  if (source.passwordFile !== undefined) return withoutNewline(await readFile(source.passwordFile, "utf8"));
  if (source.passwordStdin) return withoutNewline(await text(process.stdin));
  if (variable !== undefined && variable !== "") return variable;
  if (!process.stdin.isTTY) throw new NoPasswordError();
  return ask();
}

/** An editor ends a file with a newline, which is no part of the password. */
function withoutNewline(content: string): string {
  return content.replace(/\r?\n$/, "");
}

/** Asks on standard error, since standard output may be the file, and shows nothing of what is typed. */
function ask(): Promise<string> {
  process.stderr.write("Password: ");
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  lines.question("", resolve);
  lines.on("SIGINT", () => reject(new NoPasswordError()));
  return promise.finally(() => {
    lines.close();
    process.stderr.write("\n");
  });
}
