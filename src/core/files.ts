/** Finished files: what may be known of them, unlocking, deleting. */
import type { Auditor } from "./auditor.js";
import type { FileMeta } from "../format/meta.js";
import { openMeta } from "../format/meta.js";
import { VaultError } from "./errors.js";
import type { Caller, StoredFile } from "./model.js";
import type { Passwords } from "./passwords.js";
import type { FileStore } from "./ports.js";

const HASH = /^[0-9a-f]{64}$/;

interface FilesDeps {
  readonly store: FileStore;
  readonly passwords: Passwords;
  readonly audit: Auditor;
}

export class Files {
  constructor(private readonly deps: FilesDeps) {}

  /** The file, gone ones included; null if there never was one. Throws INVALID_HASH. */
  async find(hash: string): Promise<StoredFile | null> {
    if (!HASH.test(hash)) throw new VaultError("INVALID_HASH", "malformed hash", { field: "hash" });
    return this.deps.store.find({ hash });
  }

  /** The file, if it can still be had. Throws INVALID_HASH, NOT_FOUND, FILE_GONE. */
  async require(hash: string): Promise<StoredFile> {
    const file = await this.find(hash);
    if (!file) throw new VaultError("NOT_FOUND", `no file ${hash}`, { field: "hash" });
    if (file.status === "gone")
      throw new VaultError("FILE_GONE", `file ${file.id} is gone`, { field: "hash" });
    return file;
  }

  /** Checks the password and opens what it protects beside the bytes. */
  async unlock(
    hash: string,
    password: string,
    caller: Caller,
  ): Promise<{ file: StoredFile; meta: FileMeta }> {
    const file = await this.require(hash);
    const { audit, passwords } = this.deps;
    return audit.attempt({ action: "FILE_UNLOCKED", caller, fileId: file.id }, async unlocked => {
      const dek = await passwords.open(file, password, caller);
      const meta = unlockedMeta(file, dek);
      await audit.record(unlocked);
      return { file, meta };
    });
  }

  /**
   * Shreds the file for good: at the return nothing can open it; its objects go with the next sweep. Takes the password,
   * unless the caller is an administrator. Throws FILE_RETAINED before the file's retention has ended.
   */
  async delete(hash: string, password: string | null, caller: Caller): Promise<void> {
    const file = await this.require(hash);
    await this.deps.audit.attempt({ action: "FILE_DELETED", caller, fileId: file.id }, async deleted => {
      if (password !== null) await this.deps.passwords.open(file, password, caller);
      else if (!caller.roles.has("admin")) {
        throw new VaultError("MISSING_PASSWORD", `deleting file ${file.id} takes its password`, {
          field: "password",
        });
      }
      if (file.isRetained)
        throw new VaultError("FILE_RETAINED", `file ${file.id} is retained until ${file.retainUntil}`);
      await this.deps.store.shred(file.id, deleted);
    });
  }
}

/** The sealed name, media type and digest. Throws FILE_GONE for a shredded file. */
export function unlockedMeta(file: StoredFile, dek: Uint8Array): FileMeta {
  if (!file.meta) throw new VaultError("FILE_GONE", `file ${file.id} is gone`);
  return openMeta(dek, file.id, file.meta);
}
