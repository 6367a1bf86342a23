/** What runs in a thread of {@link HasherPool}: Argon2id, on that very thread, because its priority is a low one. */
import type { PasswordParams } from "../format/argon.js";
import { passwordKeySync } from "../format/argon.js";
import type { FileId } from "../format/id.js";

export interface HashTask {
  readonly password: string;
  readonly params: PasswordParams;
  readonly fileId: FileId;
  readonly pepper: Uint8Array | undefined;
}

export default function work({ password, params, fileId, pepper }: HashTask): Uint8Array {
  return passwordKeySync(password, params, fileId, pepper);
}
