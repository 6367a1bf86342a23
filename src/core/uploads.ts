/**
 * A file's way in, for every door: begin, append (as often as it takes), finish; or abandon. The DEK is drawn at the
 * beginning and lives in the database only wrapped under the upload's token, so that whoever holds the token, on any
 * replica, can go on without the password.
 */
import { createHash } from "node:crypto";
import type { AuditEvent } from "./audit.js";
import type { Auditor } from "./auditor.js";
import { bodyAad, bodyKey, newDek } from "../format/keys.js";
import type { UploadFacts } from "../format/facts.js";
import { startMessage } from "../format/floe.js";
import { newFileId } from "../format/id.js";
import { MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, isChunkSize, layoutFor } from "../format/layout.js";
import type { Layout } from "../format/layout.js";
import type { FileMeta } from "../format/meta.js";
import { openMeta, sealMeta } from "../format/meta.js";
import { newToken } from "../format/token.js";
import type { AppendDeps, AppendOptions } from "./append.js";
import { append } from "./append.js";
import { bodyOfUpload } from "./body.js";
import type { BucketSet } from "./bucket-set.js";
import { declareLength } from "./declare-length.js";
import { VaultError } from "./errors.js";
import type { GatherDeps } from "./gather.js";
import { gather } from "./gather.js";
import { LastPage } from "./last-page.js";
import type { Manifests } from "./manifests.js";
import type { Caller, HeldUpload, ParityProfile, StoredFile, Upload } from "./model.js";
import type { Passwords } from "./passwords.js";
import type { GrantStore, NewGrant } from "./grant-ports.js";
import type { AttemptLimiter, ChunkMap, Clock, FileStore, UploadStore } from "./ports.js";
import { requireRole } from "./roles.js";
import type { PlainHash } from "./sealing.js";
import type { TermLimits } from "./terms.js";
import { checkTerms } from "./terms.js";
import { offsetMismatch, takenOver, tooLarge } from "./upload-errors.js";
import type { BeginUpload, BegunUpload, LateFacts } from "./upload-inputs.js";
import { UploadToken } from "./upload-token.js";
import { fileOf, isWhole } from "./whole.js";

interface UploadsDeps extends AppendDeps, GatherDeps {
  readonly buckets: BucketSet;
  readonly chunkMap: ChunkMap;
  readonly uploads: UploadStore;
  readonly files: FileStore;
  readonly grants: GrantStore;
  readonly passwords: Passwords;
  readonly limiter: AttemptLimiter;
  readonly audit: Auditor;
  readonly clock: Clock;
  readonly manifests: Manifests;
  /** What new files get. */
  readonly profile: () => Promise<ParityProfile>;
  readonly defaultChunkBytes: number;
  readonly termLimits: TermLimits;
  /** False: only callers with the role `uploader` or `admin` may begin an upload. */
  readonly isOpenToAll: boolean;
}

const NO_FACTS: UploadFacts = { uploadMetadata: null, uploadConcat: null, parts: [], expectedSha256: null };

export class Uploads {
  constructor(private readonly deps: UploadsDeps) {}

  /** For an append that takes all bytes of a file; whoever does not ask for its digest must release it. */
  plainHash(): PlainHash {
    return this.deps.sealer.plainHash();
  }

  /** Throws before anything is stored when any of the input is out of its bounds. */
  begin(input: BeginUpload, caller: Caller): Promise<BegunUpload> {
    return this.deps.audit.attempt({ action: "UPLOAD_CREATED", caller }, created =>
      this.#begin(input, caller, created),
    );
  }

  async #begin(input: BeginUpload, caller: Caller, created: AuditEvent): Promise<BegunUpload> {
    if (!this.deps.isOpenToAll) requireRole(caller, "uploader", "admin");
    const layout = this.checkLayout(input.chunkBytes);
    const { maxUploadBytes } = this.deps;
    if (input.length !== null && input.length > maxUploadBytes) throw tooLarge(input.length, maxUploadBytes);
    this.check({ terms: input.terms, ...(input.password !== null && { password: input.password }) });
    await this.deps.limiter.take([{ limit: "begin", key: caller.address }]);
    return this.#create(layout, input, created);
  }

  /** Throws what {@link finish} would throw for these, so that a door can refuse before it does more work. */
  check({ password, terms }: Pick<LateFacts, "password" | "terms">): void {
    if (password !== undefined) this.deps.passwords.check(password);
    if (terms) checkTerms(terms, this.deps.termLimits);
  }

  /** The layout for a requested chunk size. Throws CHUNK_SIZE_OUT_OF_RANGE. */
  checkLayout(chunkBytes: number | null): Layout {
    const bytes = chunkBytes ?? this.deps.defaultChunkBytes;
    if (isChunkSize(bytes)) return layoutFor(bytes);
    const facts = { min: MIN_CHUNK_BYTES, max: MAX_CHUNK_BYTES };
    throw new VaultError("CHUNK_SIZE_OUT_OF_RANGE", `chunk size ${bytes}`, { field: "chunk_size", facts });
  }

  /** The upload a token is for. Throws NOT_FOUND, UPLOAD_EXPIRED. */
  async find(token: string): Promise<HeldUpload> {
    const upload = await this.look(token);
    if (!upload || upload.stage === "abandoned" || upload.stage === "failed") {
      throw new VaultError("NOT_FOUND", "no upload has this token");
    }
    if (upload.stage === "expired" || upload.isExpired) {
      throw new VaultError("UPLOAD_EXPIRED", `upload ${upload.id} has expired`);
    }
    return upload;
  }

  /** The same whatever has become of it, for as long as its row is kept; null after that. Throws NOT_FOUND for no token. */
  async look(token: string): Promise<HeldUpload | null> {
    return this.deps.uploads.find(new UploadToken(token).id);
  }

  /**
   * Adds the bytes of `source` at `offset`, which must be where the upload stands, and returns the offset that is
   * durable. An append takes the upload over from any other writer. When it throws, what came before is kept. Throws
   * NOT_FOUND, UPLOAD_EXPIRED, UPLOAD_ALREADY_FINISHED, OFFSET_MISMATCH, LENGTH_EXCEEDED, FILE_TOO_LARGE,
   * UPLOAD_TAKEN_OVER, STORAGE_UNAVAILABLE, STORAGE_FULL, SLOW_CLIENT, and what the source throws. `seen`: the upload, for
   * callers who have just looked.
   */
  async append(
    token: string,
    offset: number,
    source: AsyncIterable<Uint8Array>,
    { seen, ...options }: AppendOptions & { readonly seen?: Upload },
  ): Promise<number> {
    const upload = await this.#findAt(token, offset, seen);
    if (await isWhole(this.deps.chunkMap, upload)) return offset;
    const leased = await this.deps.uploads.lease(upload.id, { offset });
    if (!leased) throw offsetMismatch(await this.#findAt(token, offset), offset);
    return append(this.deps, { upload: leased, dek: this.#dekOf(leased, token), source, ...options });
  }

  async #findAt(token: string, offset: number, seen?: Upload): Promise<Upload> {
    const upload = seen ?? (await this.find(token));
    if (upload.stage !== "receiving") {
      throw new VaultError("UPLOAD_ALREADY_FINISHED", `upload ${upload.id} is ${upload.stage}`);
    }
    if (upload.offset !== offset) throw offsetMismatch(upload, offset);
    return upload;
  }

  /** Tells the length of an upload that was begun without one. Throws FILE_TOO_LARGE and what {@link declareLength} throws. */
  async declareLength(token: string, length: number, signal?: AbortSignal): Promise<void> {
    const upload = await this.find(token);
    if (length > this.deps.maxUploadBytes) throw tooLarge(length, this.deps.maxUploadBytes);
    await declareLength(this.deps, upload, { length, signal }, leased => this.#dekOf(leased, token));
  }

  /** How long no byte of it has become durable: each commit moves the expiry. */
  async idleMs({ expiresAt }: Upload): Promise<number> {
    const now = await this.deps.clock.now();
    return now.getTime() - (expiresAt.getTime() - this.deps.uploadTtlSeconds * 1000);
  }

  /** The facts that the door gave at the beginning. */
  factsOf(token: string, upload: Upload): UploadFacts {
    return new UploadToken(token).facts(upload);
  }

  /** Plain bytes of an upload that is not yet a file, from `start` on. Throws UPLOAD_INCOMPLETE unless all have come. */
  async read(token: string, start: number, signal: AbortSignal): Promise<AsyncGenerator<Uint8Array>> {
    const upload = await this.find(token);
    await this.requireWhole(upload);
    const body = bodyOfUpload(upload, this.#dekOf(upload, token));
    return gather(this.deps, body, { start, end: upload.offset }, signal, () => {});
  }

  /**
   * Makes a file of an upload whose bytes have all come. Throws UPLOAD_INCOMPLETE, MISSING_PASSWORD,
   * PASSWORD_TOO_SHORT, EXPIRY_OUT_OF_RANGE, MAX_DOWNLOADS_OUT_OF_RANGE; the upload then stays as it was. `caller` is
   * null where nobody waits for it.
   */
  async finish(token: string, late: LateFacts = {}, caller: Caller | null = null): Promise<StoredFile> {
    const upload = await this.find(token);
    if (upload.stage === "finished") return this.#finishedFile(upload);
    this.check(late);
    await this.requireWhole(upload);
    try {
      return await this.deps.audit.attempt(
        { action: "UPLOAD_FINISHED", caller, fileId: upload.id },
        finished => this.#makeFile(token, upload, late, finished),
      );
    } catch (error) {
      if (!(error instanceof VaultError) || error.code !== "UPLOAD_TAKEN_OVER") throw error;
      // Two clients may finish at once: both are told of the same file.
      const now = await this.find(token);
      if (now.stage !== "finished") throw error;
      return this.#finishedFile(now);
    }
  }

  /** Drops the upload and what was received. Idempotent. */
  async abandon(token: string, caller: Caller | null = null): Promise<void> {
    const upload = await this.look(token);
    if (!upload) return;
    await this.deps.audit.attempt({ action: "UPLOAD_ABANDONED", caller, fileId: upload.id }, abandoned =>
      this.deps.uploads.end(upload.id, "abandoned", abandoned),
    );
  }

  /** The name and media type of an upload that is not yet a file. */
  async metaOf(token: string): Promise<FileMeta> {
    const upload = await this.find(token);
    return openMeta(this.#dekOf(upload, token), upload.id, upload.meta);
  }

  async #makeFile(
    token: string,
    upload: HeldUpload,
    late: LateFacts,
    event: AuditEvent,
  ): Promise<StoredFile> {
    const { uploadConcat, expectedSha256 } = this.factsOf(token, upload);
    if (uploadConcat === "partial") {
      throw new VaultError("UPLOAD_INCOMPLETE", `upload ${upload.id} is part of a file only`);
    }
    const dek = this.#dekOf(upload, token);
    const sha256 = late.sha256 ?? (expectedSha256 === null ? undefined : await this.#sha256Of(token));
    if (expectedSha256 !== null && sha256 !== expectedSha256) {
      await this.deps.uploads.end(upload.id, "failed"); // no byte of it is what its sender meant
      throw new VaultError("CHECKSUM_MISMATCH", `upload ${upload.id} has another SHA-256 than expected`);
    }
    const { wrap, grant } = await this.#passwordWrap(upload, dek, late.password);
    const chunkMap = new LastPage(this.deps.chunkMap);
    const file = await fileOf(chunkMap, upload, dek, sha256);
    const { id: uploadId, lease, movedChunks } = upload;
    const terms = late.terms ?? upload.terms;
    const createdAt = await this.deps.clock.now();
    const manifest = await this.deps.manifests.first(upload, { file, dek, wrap, terms, createdAt, chunkMap });
    const stored = await this.deps.files.finish({
      uploadId,
      lease,
      file,
      terms,
      createdAt,
      grant,
      event,
      manifest,
      movedChunks,
    });
    if (!stored) throw takenOver(upload);
    await this.deps.manifests.complete(stored, manifest);
    return stored;
  }

  async #create(layout: Layout, input: BeginUpload, created: AuditEvent): Promise<BegunUpload> {
    const dek = newDek();
    const id = newFileId();
    const token = new UploadToken(newToken());
    const { header } = startMessage(bodyKey(dek), bodyAad(id), layout.segmentBytes);
    const expiresAt = new Date((await this.deps.clock.now()).getTime() + this.deps.uploadTtlSeconds * 1000);
    const grants = [token.grant(id, dek, expiresAt)];
    if (input.password !== null) grants.push(await this.deps.passwords.grant(id, dek, input.password));
    const upload = await this.deps.uploads.create(
      {
        id,
        tokenId: token.id,
        length: input.length,
        layout,
        parity: await this.deps.profile(),
        floeHeader: header,
        meta: sealMeta(dek, id, { name: input.name, mediaType: input.mediaType, sha256: null }),
        facts: token.sealFacts(id, { ...NO_FACTS, ...input.facts }),
        terms: input.terms,
        ttlSeconds: this.deps.uploadTtlSeconds,
      },
      grants,
      { ...created, fileId: id },
    );
    return { upload, token: token.text };
  }

  /** Throws UPLOAD_TAKEN_OVER where another request ended the upload meanwhile, and its grant with it. */
  #dekOf(upload: HeldUpload, token: string): Uint8Array {
    if (upload.wrap === null && upload.stage !== "receiving") throw takenOver(upload);
    return new UploadToken(token).dek(upload);
  }

  /** Throws UPLOAD_INCOMPLETE unless the last byte is durable. */
  async requireWhole(upload: Upload): Promise<void> {
    if (await isWhole(this.deps.chunkMap, upload)) return;
    const message = `upload ${upload.id} stands at ${upload.offset} of ${upload.length}`;
    throw new VaultError("UPLOAD_INCOMPLETE", message);
  }

  /** Of what is stored, read back: a hash under way cannot be saved from one request to the next. */
  async #sha256Of(token: string): Promise<string> {
    const hash = createHash("sha256");
    for await (const plain of await this.read(token, 0, new AbortController().signal)) hash.update(plain);
    return hash.digest("hex");
  }

  /** The file's password wrap, and its grant where it is yet to be written. */
  async #passwordWrap(
    upload: Upload,
    dek: Uint8Array,
    password: string | undefined,
  ): Promise<{ wrap: Uint8Array; grant: NewGrant | null }> {
    if (password !== undefined) {
      const grant = await this.deps.passwords.grant(upload.id, dek, password);
      return { wrap: grant.wrap, grant };
    }
    const stored = await this.deps.grants.find({ passwordOf: upload.id });
    if (stored) return { wrap: stored.wrap, grant: null };
    throw new VaultError("MISSING_PASSWORD", `upload ${upload.id} has no password`, { field: "password" });
  }

  async #finishedFile(upload: Upload): Promise<StoredFile> {
    const file = await this.deps.files.find({ id: upload.id });
    if (!file) throw new VaultError("FILE_GONE", `the file of upload ${upload.id} is gone`);
    return file;
  }
}
