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
import type { Caller, StoredFile } from "./model.js";
import type { AttemptKey, AttemptLimiter, GrantStore, NewGrant } from "./ports.js";

/** Longest password in UTF-8 bytes: far beyond any passphrase, short enough that hashing it costs nothing. */
const MAX_PASSWORD_BYTES = 1024;
const SALT_BYTES = 16;
const GRANT_ID_BYTES = 16;

interface PasswordsDeps {
  readonly grants: GrantStore;
  readonly limiter: AttemptLimiter;
  readonly argon: ArgonRuns;
  readonly cost: ArgonCost;
  readonly minLength: number;
  readonly pepper: Uint8Array | null;
}

export class Passwords {
  constructor(private readonly deps: PasswordsDeps) {}

  /** Throws PASSWORD_TOO_SHORT or PASSWORD_TOO_LONG. Length is counted in characters as people see them typed. */
  check(password: string): void {
    const min = this.deps.minLength;
    if ([...password.normalize("NFKC")].length < min) {
      throw new VaultError("PASSWORD_TOO_SHORT", `under ${min} characters`, {
        field: "password",
        facts: { min },
      });
    }
    this.#checkLongest(password);
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
  async open(file: StoredFile, password: string, caller: Caller): Promise<Uint8Array> {
    this.#checkLongest(password);
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
    if (!dek) throw new VaultError("WRONG_PASSWORD", `file ${file.id}`, { field: "password" });
    await this.deps.limiter.giveBack(keys);
    assertSeal(file, dek);
    return dek;
  }

  #pepperOf({ pepperId }: PasswordParams): Uint8Array | undefined {
    if (pepperId === 0) return undefined;
    if (!this.deps.pepper) throw new VaultError("INTERNAL", `pepper ${pepperId} is not configured`);
    return this.deps.pepper;
  }

  #checkLongest(password: string): void {
    if (Buffer.byteLength(password) <= MAX_PASSWORD_BYTES) return;
    const facts = { max: MAX_PASSWORD_BYTES };
    throw new VaultError("PASSWORD_TOO_LONG", `over ${MAX_PASSWORD_BYTES} bytes`, {
      field: "password",
      facts,
    });
  }
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
