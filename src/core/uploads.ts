/**
 * A file's way in, for every door: begin, append (as often as it takes), finish; or abandon. The DEK is drawn at the
 * beginning and lives in the database only wrapped under the upload's token, so that whoever holds the token, on any
 * replica, can go on without the password.
 */
import type { AuditEvent } from "./audit.js";
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
import type { FinishDeps } from "./finish.js";
import { Finisher } from "./finish.js";
import { gather } from "./gather.js";
import type { Caller, HeldUpload, ParityProfile, StoredFile, Upload } from "./model.js";
import type { AttemptLimiter } from "./ports.js";
import { requireRole } from "./roles.js";
import type { PlainHash } from "./sealing.js";
import type { TermLimits } from "./terms.js";
import { checkTerms } from "./terms.js";
import { isTakenOver, offsetMismatch, tooLarge } from "./upload-errors.js";
import type { BeginUpload, BegunUpload, LateFacts } from "./upload-inputs.js";
import { UploadToken } from "./upload-token.js";
import { KEEP_EVERY_MS, whileKept } from "./while-kept.js";
import { isWhole, requireWhole } from "./whole.js";
import { Writers } from "./writers.js";

interface UploadsDeps extends AppendDeps, FinishDeps {
  readonly buckets: BucketSet;
  readonly limiter: AttemptLimiter;
  /** What new files get. */
  readonly profile: () => Promise<ParityProfile>;
  readonly defaultChunkBytes: number;
  readonly termLimits: TermLimits;
  /** False: only callers with the role `uploader` or `admin` may begin an upload. */
  readonly isOpenToAll: boolean;
}

const NO_FACTS: UploadFacts = { uploadMetadata: null, uploadConcat: null, parts: [], expectedSha256: null };

export class Uploads {
  readonly #finisher: Finisher;
  readonly #writers = new Writers();

  constructor(private readonly deps: UploadsDeps) {
    this.#finisher = new Finisher(deps);
  }

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
    if (upload.stage === "finished" && upload.isExpired) {
      throw new VaultError("NOT_FOUND", `upload ${upload.id} became a file long ago`);
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
    const at = { offset, ttlSeconds: this.deps.uploadTtlSeconds };
    const leased = await this.deps.uploads.lease(upload.id, at);
    if (!leased) throw offsetMismatch(await this.#findAt(token, offset), offset);
    // Sealed while the lease was waited for: another last chunk would be one too many.
    if (await isWhole(this.deps.chunkMap, leased)) return offset;
    const dek = new UploadToken(token).dek(leased);
    const length = leased.length ?? options.lateLength ?? null;
    const keep = () => this.keep([token]);
    return this.#writers.run(leased, overtaken => {
      const signal = options.signal ? AbortSignal.any([options.signal, overtaken]) : overtaken;
      const request = { ...options, upload: { ...leased, length }, dek, source, signal };
      return whileKept(keep, KEEP_EVERY_MS, () => append(this.deps, request));
    });
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
    await declareLength(this.deps, upload, { length, signal }, leased => new UploadToken(token).dek(leased));
  }

  /** How long nobody has been at it: each lease, commit and {@link keep} moves the expiry. */
  async idleMs({ expiresAt }: Upload): Promise<number> {
    const now = await this.deps.clock.now();
    return now.getTime() - (expiresAt.getTime() - this.deps.uploadTtlSeconds * 1000);
  }

  /** The facts that the door gave at the beginning. */
  factsOf(token: string, upload: Upload): UploadFacts {
    return new UploadToken(token).facts(upload);
  }

  /**
   * Plain bytes of an upload that is not yet a file, from `start` on. Throws UPLOAD_INCOMPLETE unless all have come.
   * `onReclaim`: see {@link gather}.
   */
  async read(
    token: string,
    start: number,
    signal: AbortSignal,
    onReclaim: () => void,
  ): Promise<AsyncGenerator<Uint8Array>> {
    const upload = await this.find(token);
    await requireWhole(this.deps.chunkMap, upload);
    const body = bodyOfUpload(upload, new UploadToken(token).dek(upload));
    return gather(this.deps, body, { start, end: upload.offset }, signal, onReclaim);
  }

  /**
   * Makes a file of an upload whose bytes have all come. Throws UPLOAD_INCOMPLETE, MISSING_PASSWORD,
   * PASSWORD_TOO_SHORT, EXPIRY_OUT_OF_RANGE, MAX_DOWNLOADS_OUT_OF_RANGE; the upload then stays as it was. `caller` is
   * null where nobody waits for it.
   */
  async finish(token: string, late: LateFacts = {}, caller: Caller | null = null): Promise<StoredFile> {
    const upload = await this.find(token);
    if (upload.stage === "finished") return this.#finisher.finishedFile(upload);
    this.check(late);
    try {
      return await this.#finisher.finish(new UploadToken(token), upload, late, caller);
    } catch (error) {
      if (!isTakenOver(error)) throw error;
      // Two clients may finish at once: both are told of the same file.
      const now = await this.find(token);
      if (now.stage === "finished") return this.#finisher.finishedFile(now);
      return await this.#finisher.finish(new UploadToken(token), now, late, caller); // under the lease it has now
    }
  }

  /** Drops the upload and what was received. Idempotent. Throws UPLOAD_ALREADY_FINISHED for one that has become a file. */
  async abandon(token: string, caller: Caller | null = null): Promise<void> {
    const upload = await this.look(token);
    if (!upload) return;
    const { id } = upload;
    const isEnded = await this.deps.audit.attempt(
      { action: "UPLOAD_ABANDONED", caller, fileId: id },
      abandoned => this.deps.uploads.end(id, "abandoned", abandoned),
    );
    if (isEnded || (await this.look(token))?.stage !== "finished") return;
    throw new VaultError("UPLOAD_ALREADY_FINISHED", `upload ${id} is a file by now`);
  }

  /** None of these expires sooner than an upload that has just got bytes. Those that have ended stay as they are. */
  async keep(tokens: readonly string[]): Promise<void> {
    const ids = tokens.map(token => new UploadToken(token).id);
    await this.deps.uploads.keep(ids, this.deps.uploadTtlSeconds);
  }

  /** Whether the last byte is durable. */
  isWhole(upload: Upload): Promise<boolean> {
    return isWhole(this.deps.chunkMap, upload);
  }

  /** Throws UPLOAD_INCOMPLETE unless the upload {@link isWhole}. */
  requireWhole(upload: Upload): Promise<void> {
    return requireWhole(this.deps.chunkMap, upload);
  }

  /** The name and media type of an upload that is not yet a file. */
  async metaOf(token: string): Promise<FileMeta> {
    const upload = await this.find(token);
    return openMeta(new UploadToken(token).dek(upload), upload.id, upload.meta);
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
}
