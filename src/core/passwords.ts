/**
 * What a password does: it wraps a file's DEK, and opens it again. The only place where Argon2 runs, so the only place
 * with the limits that keep it from being a way to guess or a way to starve the server.
 */
import { randomBytes } from "node:crypto";
import type { ArgonCost, PasswordParams } from "../format/argon.js";
import { checkSeal } from "../format/core.js";
import type { FileId } from "../format/id.js";
import {
  decodePasswordParams,
  encodePasswordParams,
  unwrapDek,
  wrapDek,
  wrapParams,
} from "../format/wrap.js";
import type { ArgonRuns } from "./argon-runs.js";
import { VaultError } from "./errors.js";
import type { AuditEvent } from "./audit.js";
import type { Caller, StoredFile } from "./model.js";
import type { GrantStore, NewGrant } from "./grant-ports.js";
import type { AttemptKey, AttemptLimiter } from "./ports.js";

/** Longest password in UTF-8 bytes: far beyond any passphrase, short enough that hashing it costs nothing. */
const MAX_PASSWORD_BYTES = 1024;
/** What decoders put in place of bytes that are no UTF-8: whoever chose the password could not give it a second time. */
const REPLACEMENT = "\ufffd";
const SALT_BYTES = 16;
const GRANT_ID_BYTES = 16;

interface PasswordsDeps {
  readonly grants: GrantStore;
  readonly limiter: AttemptLimiter;
  readonly argon: ArgonRuns;
  readonly cost: ArgonCost;
  readonly minLength: number;
  /** Whether guessers try it first. */
  isCommon(password: string): boolean;
  readonly pepper: Uint8Array | null;
}

/** A file's key, and the grant that gave it. */
export interface Opened {
  readonly dek: Uint8Array;
  /** Names the password: another one has a grant with another id. */
  readonly grantId: Uint8Array;
}

export interface PasswordChange {
  readonly currentPassword: string;
  readonly newPassword: string;
  /** Also revoke every link made with the old password. */
  readonly revokeLinks: boolean;
}

export class Passwords {
  constructor(private readonly deps: PasswordsDeps) {}

  /**
   * Throws PASSWORD_TOO_SHORT, PASSWORD_TOO_LONG, PASSWORD_TOO_COMMON or BAD_REQUEST. Length is counted in characters as people see them
   * typed. Only for a password that is being chosen: a file keeps the one it has.
   */
  check(password: string, field = "password"): void {
    const min = this.deps.minLength;
    if ([...password.normalize("NFKC")].length < min) {
      throw new VaultError("PASSWORD_TOO_SHORT", `under ${min} characters`, { field, facts: { min } });
    }
    checkLongest(password, field);
    if (password.toWellFormed().includes(REPLACEMENT)) {
      const facts = { reason: "The password is not text in UTF-8." };
      throw new VaultError("BAD_REQUEST", "a password with a replacement character", { field, facts });
    }
    if (this.deps.isCommon(password))
      throw new VaultError("PASSWORD_TOO_COMMON", "a common password", { field });
  }

  /** A grant that opens the file with `password`. */
  async grant(fileId: FileId, dek: Uint8Array, password: string): Promise<NewGrant> {
    this.check(password);
    const { cost, pepper } = this.deps;
    const params = { ...cost, pepperId: pepper ? 1 : 0, salt: randomBytes(SALT_BYTES) };
    const ikm = await this.deps.argon.key(password, params, fileId, this.#pepperOf(params));
    const wrap = wrapDek({ kind: "password", params: encodePasswordParams(params), ikm, fileId, dek });
    return {
      id: randomBytes(GRANT_ID_BYTES),
      fileId,
      kind: "password",
      wrap,
      expiresAt: null,
      maxUses: null,
    };
  }

  /**
   * The file's DEK. A slot of the limits is taken right before Argon2 runs and given back when the password was right, so
   * that a file's own readers never lock it; who has none left does not even wait for Argon2. Throws WRONG_PASSWORD, TOO_MANY_ATTEMPTS, BUSY, FILE_GONE.
   */
  async open(file: StoredFile, password: string, caller: Caller, field = "password"): Promise<Opened> {
    checkLongest(password, field);
    const grant = await this.deps.grants.find({ passwordOf: file.id });
    if (!grant) throw new VaultError("FILE_GONE", `file ${file.id} has no password grant`);
    const keys: AttemptKey[] = [
      { limit: "password", key: file.hash },
      { limit: "address", key: caller.address },
    ];
    const params = decodePasswordParams(wrapParams(grant.wrap, "password"));
    await this.deps.limiter.check(keys);
    using argon = await this.deps.argon.admit(params.memoryKiB);
    await this.deps.limiter.take(keys); // only now: who waits holds no slot that another reader could need
    let dek: Uint8Array | null;
    try {
      const ikm = await argon.key(password, params, file.id, this.#pepperOf(params));
      dek = unwrapDek({ kind: "password", record: grant.wrap, ikm, fileId: file.id });
    } catch (error) {
      await this.deps.limiter.giveBack(keys); // nothing was learnt about the password
      throw error;
    }
    if (!dek) throw new VaultError("WRONG_PASSWORD", `file ${file.id}`, { field });
    await this.deps.limiter.giveBack(keys);
    assertSeal(file, dek);
    return { dek, grantId: grant.id };
  }

  /**
   * What a file's holder and an administrator may both do. The file's DEK where the password was given, null for an
   * administrator who gave none. Throws MISSING_PASSWORD, and what {@link open} throws.
   */
  async authorize(file: StoredFile, password: string | null, caller: Caller): Promise<Uint8Array | null> {
    if (password !== null) return (await this.open(file, password, caller)).dek;
    if (caller.roles.has("admin")) return null;
    throw new VaultError("MISSING_PASSWORD", `this takes the password of file ${file.id}`, {
      field: "password",
    });
  }

  /**
   * Wraps the file's DEK under another password; at no moment do both open it, or none. Of several who change the same
   * password at once one wins, and the others are told WRONG_PASSWORD: theirs is not the password any more.
   */
  async change(
    file: StoredFile,
    change: PasswordChange,
    caller: Caller,
    event?: AuditEvent,
  ): Promise<Uint8Array> {
    const { currentPassword, newPassword, revokeLinks } = change;
    this.check(newPassword, "new_password");
    const { dek, grantId } = await this.open(file, currentPassword, caller, "current_password");
    const grant = await this.grant(file.id, dek, newPassword);
    if (!(await this.deps.grants.replacePassword(grantId, grant, { revokeLinks }, event))) {
      throw new VaultError("WRONG_PASSWORD", `the password of file ${file.id} was changed meanwhile`, {
        field: "current_password",
      });
    }
    return dek;
  }

  #pepperOf({ pepperId }: PasswordParams): Uint8Array | undefined {
    if (pepperId === 0) return undefined;
    if (!this.deps.pepper) throw new VaultError("INTERNAL", `pepper ${pepperId} is not configured`);
    return this.deps.pepper;
  }
}

function checkLongest(password: string, field: string): void {
  if (Buffer.byteLength(password) <= MAX_PASSWORD_BYTES) return;
  const facts = { max: MAX_PASSWORD_BYTES };
  throw new VaultError("PASSWORD_TOO_LONG", `over ${MAX_PASSWORD_BYTES} bytes`, { field, facts });
}

/** The database may have been tampered with: the row's core must be the one its holder sealed. */
export function assertSeal(file: StoredFile, dek: Uint8Array): void {
  if (!checkSeal(dek, file.core, file.seal)) {
    throw new VaultError(
      "FILE_UNAVAILABLE",
      `file ${file.id}: the core in the database is not the one that was sealed`,
    );
  }
}
