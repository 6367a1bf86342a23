/**
 * The end of uploads and files that come to it by themselves: their time is past, or their downloads have all been had. What
 * the buckets know better is spared instead (newer.ts).
 */
import type { FileId } from "../format/id.js";
import { eventOf } from "./auditor.js";
import type { Finding, NewerDeps } from "./newer.js";
import { Newer } from "./newer.js";
import type { FileStore, Log, UploadStore } from "./ports.js";
import type { OpenUpload, OverFile } from "./sweep-ports.js";

/** How long what the buckets know better is left alone, in seconds: nothing changes there by itself. */
export const SPARE_SECONDS = 24 * 3600;
/** The same where too few buckets answered to say. */
export const RETRY_SECONDS = 600;

export interface EndingsDeps extends NewerDeps {
  readonly uploads: UploadStore;
  readonly files: FileStore;
  readonly log: Log;
}

/** `passed`: another process was faster, or it is not over any more. */
export type Ending = "ended" | "spared" | "passed";

export class Endings {
  readonly newer: Newer;

  constructor(
    private readonly deps: EndingsDeps,
    signal?: AbortSignal,
  ) {
    this.newer = new Newer(deps, signal);
  }

  async upload(upload: OpenUpload): Promise<Ending> {
    const { id } = upload;
    const finding = await this.newer.ofUpload(upload);
    if (finding.is !== "nothing") return this.#spare("uploads", id, finding);
    const event = eventOf({ action: "UPLOAD_ABANDONED", caller: null, fileId: id });
    const isEnded = await this.deps.uploads.end(id, "expired", { ...event, code: "UPLOAD_EXPIRED" });
    return isEnded ? "ended" : "passed";
  }

  async file(file: OverFile): Promise<Ending> {
    const finding = await this.newer.ofFile(file);
    if (finding.is !== "nothing") return this.#spare("files", file.id, { ...finding, hash: file.hash });
    return this.shred(file.id);
  }

  /** Also goes on where a crash stopped it. */
  async shred(id: FileId): Promise<Ending> {
    const event = eventOf({ action: "FILE_EXPIRED", caller: null, fileId: id });
    return (await this.deps.files.shred(id, "over", event)) ? "ended" : "passed";
  }

  async #spare(kind: "uploads" | "files", id: FileId, { is, hash }: Finding): Promise<Ending> {
    const { expiries, log } = this.deps;
    const isSpared = await expiries.spare(kind, id, is === "newer" ? SPARE_SECONDS : RETRY_SECONDS);
    if (!isSpared) return "passed";
    const facts = { [kind === "uploads" ? "uploadId" : "fileId"]: id, hash };
    if (is === "newer") log.error("not ended: the database is older than the buckets", facts);
    else log.warn("not ended: too few buckets answer to say that the database is not older", facts);
    return "spared";
  }
}
