/** Finished files: what may be known of them, and what their holders can do with them. */
import type { Auditor } from "./auditor.js";
import type { FileMeta } from "../format/meta.js";
import { openMeta } from "../format/meta.js";
import { VaultError } from "./errors.js";
import type { Manifests } from "./manifests.js";
import type { Caller, StoredFile } from "./model.js";
import type { PasswordChange, Passwords } from "./passwords.js";
import type { Clock, FileStore } from "./ports.js";
import type { TermLimits } from "./terms.js";
import type { TermsChange } from "./terms-change.js";
import { changedTerms } from "./terms-change.js";

const HASH = /^[0-9a-f]{64}$/;

interface FilesDeps {
  readonly store: FileStore;
  readonly passwords: Passwords;
  readonly audit: Auditor;
  readonly clock: Clock;
  readonly termLimits: TermLimits;
  readonly manifests: Pick<Manifests, "refresh">;
}

/** A file, and what its password protects beside the bytes. */
export interface UnlockedFile {
  readonly file: StoredFile;
  readonly meta: FileMeta;
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
  async unlock(hash: string, password: string, caller: Caller): Promise<UnlockedFile> {
    const file = await this.require(hash);
    const { audit, passwords } = this.deps;
    return audit.attempt({ action: "FILE_UNLOCKED", caller, fileId: file.id }, async unlocked => {
      const { dek } = await passwords.open(file, password, caller);
      const meta = unlockedMeta(file, dek);
      await audit.record(unlocked);
      return { file, meta };
    });
  }

  /**
   * Changes how long and how often the file may be had. Takes the password, unless the caller is an administrator; only
   * an administrator retains. Throws what {@link Passwords.authorize} and {@link changedTerms} throw, and FORBIDDEN.
   */
  async changeTerms(
    hash: string,
    { password, ...change }: TermsChange & { password: string | null },
    caller: Caller,
  ): Promise<{ file: StoredFile; meta: FileMeta | null }> {
    const { audit, clock, manifests, passwords, store, termLimits: limits } = this.deps;
    const before = await this.require(hash);
    return audit.attempt({ action: "FILE_UPDATED", caller, fileId: before.id }, async updated => {
      if (change.retainUntil !== undefined && !caller.roles.has("admin"))
        throw new VaultError("FORBIDDEN", "only administrators retain files");
      const dek = await passwords.authorize(before, password, caller);
      const context = { now: await clock.now(), limits };
      const decide = (locked: StoredFile) => changedTerms(locked, change, context);
      const file = await store.changeTerms(before.id, decide, updated);
      if (!file) throw new VaultError("NOT_FOUND", `no file ${hash}`, { field: "hash" });
      // Before anybody is told: a database from before this change must find that the buckets know of it.
      await manifests.refresh(file.id);
      return { file, meta: dek && unlockedMeta(file, dek) };
    });
  }

  /** See {@link Passwords.change}. Hash and bytes stay. */
  async changePassword(hash: string, change: PasswordChange, caller: Caller): Promise<UnlockedFile> {
    const file = await this.require(hash);
    const { audit, manifests, passwords } = this.deps;
    return audit.attempt({ action: "FILE_UPDATED", caller, fileId: file.id }, async updated => {
      const dek = await passwords.change(file, change, caller, updated);
      await manifests.refresh(file.id); // from here on the buckets alone open with the new password too
      return { file, meta: unlockedMeta(file, dek) };
    });
  }

  /**
   * Shreds the file for good: at the return nothing can open it; its objects go with the next sweep. Takes the password,
   * unless the caller is an administrator. Throws FILE_RETAINED before the file's retention has ended.
   */
  async delete(hash: string, password: string | null, caller: Caller): Promise<void> {
    const file = await this.require(hash);
    await this.deps.audit.attempt({ action: "FILE_DELETED", caller, fileId: file.id }, async deleted => {
      await this.deps.passwords.authorize(file, password, caller);
      await this.deps.store.shred(file.id, "asked", deleted);
    });
  }
}

/** The sealed name, media type and digest. Throws FILE_GONE for a shredded file. */
export function unlockedMeta(file: StoredFile, dek: Uint8Array): FileMeta {
  if (!file.meta) throw new VaultError("FILE_GONE", `file ${file.id} is gone`);
  return openMeta(dek, file.id, file.meta);
}
