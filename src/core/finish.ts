/** The end of an upload whose bytes have all come: it becomes a file, once, however many ask for that. */
import { createHash } from "node:crypto";
import type { FileId } from "../format/id.js";
import type { AuditEvent } from "./audit.js";
import type { Auditor } from "./auditor.js";
import { bodyOfUpload } from "./body.js";
import { VaultError } from "./errors.js";
import type { GatherDeps } from "./gather.js";
import { gather } from "./gather.js";
import type { GrantStore, NewGrant } from "./grant-ports.js";
import { LastPage } from "./last-page.js";
import type { Manifests } from "./manifests.js";
import type { Caller, HeldUpload, StoredFile, Upload } from "./model.js";
import { OnceEach } from "./once-each.js";
import type { Passwords } from "./passwords.js";
import type { ChunkMap, Clock, FileStore, UploadStore } from "./ports.js";
import { takenOver } from "./upload-errors.js";
import type { LateFacts } from "./upload-inputs.js";
import type { UploadToken } from "./upload-token.js";
import { KEEP_EVERY_MS, whileKept } from "./while-kept.js";
import { fileOf, requireWhole } from "./whole.js";

export interface FinishDeps extends GatherDeps {
  readonly chunkMap: ChunkMap;
  readonly uploads: UploadStore;
  readonly files: FileStore;
  readonly grants: GrantStore;
  readonly passwords: Passwords;
  readonly audit: Auditor;
  readonly clock: Clock;
  readonly manifests: Manifests;
  readonly uploadTtlSeconds: number;
}

export class Finisher {
  /** By the upload: what a large one takes may be longer than its client waits before asking again. */
  readonly #underWay = new OnceEach<FileId, StoredFile>();

  constructor(private readonly deps: FinishDeps) {}

  /** Throws UPLOAD_TAKEN_OVER where the upload has changed or ended since it was read, and what {@link Uploads.finish} does. */
  async finish(
    token: UploadToken,
    upload: HeldUpload,
    late: LateFacts,
    caller: Caller | null,
  ): Promise<StoredFile> {
    await requireWhole(this.deps.chunkMap, upload);
    return this.#underWay.run(upload.id, () =>
      this.deps.audit.attempt({ action: "UPLOAD_FINISHED", caller, fileId: upload.id }, finished =>
        this.#makeFile(token, upload, late, finished),
      ),
    );
  }

  /** The file that came of a finished upload. Throws FILE_GONE. */
  async finishedFile(upload: Upload): Promise<StoredFile> {
    const file = await this.deps.files.find({ id: upload.id });
    if (!file) throw new VaultError("FILE_GONE", `the file of upload ${upload.id} is gone`);
    return file;
  }

  async #makeFile(
    token: UploadToken,
    upload: HeldUpload,
    late: LateFacts,
    event: AuditEvent,
  ): Promise<StoredFile> {
    const { uploadConcat, expectedSha256 } = token.facts(upload);
    if (uploadConcat === "partial") {
      throw new VaultError("UPLOAD_INCOMPLETE", `upload ${upload.id} is part of a file only`);
    }
    const dek = token.dek(upload);
    const readBack = () => this.#readBack(token, upload, dek);
    const sha256 = late.sha256 ?? (expectedSha256 === null ? undefined : await readBack());
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

  /** The SHA-256 of what is stored: a hash under way cannot be saved from one request to the next. */
  async #readBack(token: UploadToken, upload: Upload, dek: Uint8Array): Promise<string> {
    const hash = createHash("sha256");
    const range = { start: 0, end: upload.offset };
    const keep = () => this.deps.uploads.keep([token.id], this.deps.uploadTtlSeconds);
    await keep();
    return whileKept(keep, KEEP_EVERY_MS, async () => {
      const plain = gather(this.deps, bodyOfUpload(upload, dek), range, NEVER, () => {});
      for await (const piece of plain) hash.update(piece);
      return hash.digest("hex");
    });
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
}

/** Whoever waits may go; the next to ask is answered the sooner. */
const NEVER = new AbortController().signal;
