/** Secure download links: a password opens the file once, and leaves a token that opens it for a while. */
import type { FileMeta } from "../format/meta.js";
import { openMeta } from "../format/meta.js";
import { newToken, parseToken, tokenId, tokenKey } from "../format/token.js";
import { decodeLinkParams, encodeLinkParams, unwrapDek, wrapDek, wrapParams } from "../format/wrap.js";
import type { AuditEvent } from "./audit.js";
import type { Act, Auditor } from "./auditor.js";
import { VaultError } from "./errors.js";
import type { Files } from "./files.js";
import { unlockedMeta } from "./files.js";
import type { Caller, Disposition, Grant, StoredFile } from "./model.js";
import type { Passwords } from "./passwords.js";
import { assertSeal } from "./passwords.js";
import type { GrantStore } from "./grant-ports.js";
import type { Clock, FileStore } from "./ports.js";
import { checkSeconds, checkUses } from "./terms.js";

/** A link that lives longer than this is a share, and a password is the better way to have one. */
export const MAX_LINK_SECONDS = 7 * 24 * 3600;

interface LinksDeps {
  readonly files: Files;
  readonly fileStore: FileStore;
  readonly grants: GrantStore;
  readonly passwords: Passwords;
  readonly clock: Clock;
  readonly audit: Auditor;
  readonly defaultTtlSeconds: number;
}

export interface LinkRequest {
  readonly hash: string;
  readonly password: string;
  readonly expiresInSeconds: number | null;
  readonly maxUses: number | null;
  readonly disposition: Disposition;
}

/** A new link. The token is shown this once; the database holds neither it nor anything it could be made from. */
export interface NewLink {
  readonly grant: Grant;
  readonly token: string;
  readonly file: StoredFile;
  readonly meta: FileMeta;
}

/** What a link opens. */
export interface OpenLink {
  /** Who showed the token. */
  readonly caller: Caller;
  readonly grant: Grant;
  readonly file: StoredFile;
  readonly meta: FileMeta;
  readonly dek: Uint8Array;
}

export class Links {
  constructor(private readonly deps: LinksDeps) {}

  /** Throws what {@link Files.require} and {@link Passwords.open} throw, and EXPIRY_OUT_OF_RANGE. */
  async create(request: LinkRequest, caller: Caller): Promise<NewLink> {
    checkSeconds(request.expiresInSeconds, MAX_LINK_SECONDS);
    checkUses(request.maxUses, "max_uses");
    const file = await this.deps.files.require(request.hash);
    return this.deps.audit.attempt({ action: "LINK_CREATED", caller, fileId: file.id }, created =>
      this.#create(file, request, caller, created),
    );
  }

  async #create(
    file: StoredFile,
    request: LinkRequest,
    caller: Caller,
    created: AuditEvent,
  ): Promise<NewLink> {
    const { dek, grantId } = await this.deps.passwords.open(file, request.password, caller);
    const token = newToken();
    const tokenBytes = bytesOf(token);
    const ttlSeconds = request.expiresInSeconds ?? this.deps.defaultTtlSeconds;
    // Rounded up: a wrap counts whole seconds, and no link may live shorter than was asked for.
    const notAfter = Math.ceil((await this.deps.clock.now()).getTime() / 1000) + ttlSeconds;
    const params = encodeLinkParams({ notAfter, maxUses: request.maxUses ?? 0 });
    const wrap = wrapDek({ kind: "link", params, ikm: tokenKey(tokenBytes, "link"), fileId: file.id, dek });
    const link = {
      id: tokenId(tokenBytes, "link"),
      fileId: file.id,
      kind: "link",
      wrap,
      expiresAt: new Date(notAfter * 1000),
      maxUses: request.maxUses,
      disposition: request.disposition,
    } as const;
    const meta = unlockedMeta(file, dek);
    const grant = await this.deps.grants.add(link, grantId, created);
    if (!grant) {
      throw new VaultError("WRONG_PASSWORD", `the password of file ${file.id} was changed meanwhile`, {
        field: "password",
      });
    }
    return { grant, token, file, meta };
  }

  /**
   * Ends a link before its time. Takes the password of its file, unless the caller is an administrator. Throws NOT_FOUND,
   * LINK_ALREADY_REVOKED, and what {@link Passwords.authorize} throws.
   */
  async revoke(id: Uint8Array, password: string | null, caller: Caller): Promise<Grant> {
    const grant = await this.deps.grants.find({ id, kind: "link" });
    const file = grant && (await this.deps.fileStore.find({ id: grant.fileId }));
    if (!file) throw new VaultError("NOT_FOUND", "no link has this id", { field: "id" });
    const act: Act = { action: "LINK_REVOKED", caller, fileId: file.id };
    return this.deps.audit.attempt(act, async event => {
      await this.deps.passwords.authorize(file, password, caller);
      const revoked = await this.deps.grants.revoke(id, event);
      if (revoked) return revoked;
      throw new VaultError("LINK_ALREADY_REVOKED", `a link of file ${file.id}`, { field: "id" });
    });
  }

  /** What the token opens. Throws NOT_FOUND, LINK_EXPIRED (also revoked), FILE_GONE. */
  async resolve(token: string, caller: Caller): Promise<OpenLink> {
    const bytes = bytesOf(token);
    const grant = await this.deps.grants.find({ id: tokenId(bytes, "link"), kind: "link" });
    if (!grant) throw new VaultError("NOT_FOUND", "no link has this token");
    // What it opens is audited where it is used (downloads.ts); here, only that it opens nothing any more.
    return this.deps.audit.attempt({ action: "FILE_DOWNLOADED", caller, fileId: grant.fileId }, () =>
      this.#open(grant, bytes, caller),
    );
  }

  async #open(grant: Grant, bytes: Uint8Array, caller: Caller): Promise<OpenLink> {
    if (grant.isExpired || grant.revokedAt) throw new VaultError("LINK_EXPIRED", "the link is over");
    assertTerms(grant);
    const file = await this.deps.fileStore.find({ id: grant.fileId });
    if (!file?.meta || file.isExpired) throw new VaultError("FILE_GONE", `file ${grant.fileId} is gone`);
    const dek = unwrapDek({
      kind: "link",
      record: grant.wrap,
      ikm: tokenKey(bytes, "link"),
      fileId: file.id,
    });
    if (!dek) throw new VaultError("NOT_FOUND", "the link's wrap is not for this token");
    assertSeal(file, dek);
    return { caller, grant, file, dek, meta: openMeta(dek, file.id, file.meta) };
  }
}

/** Expiry and uses are authenticated with the wrap: columns that say otherwise were tampered with. */
function assertTerms(grant: Grant): void {
  const { notAfter, maxUses } = decodeLinkParams(wrapParams(grant.wrap, "link"));
  if (grant.expiresAt?.getTime() !== notAfter * 1000 || (grant.maxUses ?? 0) !== maxUses) {
    throw new VaultError(
      "LINK_EXPIRED",
      `the link's row of file ${grant.fileId} does not agree with its wrap`,
    );
  }
}

function bytesOf(token: string): Uint8Array {
  const bytes = parseToken(token);
  if (!bytes) throw new VaultError("NOT_FOUND", "malformed link token");
  return bytes;
}
