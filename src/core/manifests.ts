/**
 * Keeping the recovery manifests in the buckets up with the database. A file's first is written before the file exists;
 * the database marks it stale in whatever transaction changes what it says (migration 0007), and `refresh` writes anew.
 */
import type { FileId } from "../format/id.js";
import { mapKey } from "../format/keys.js";
import { operatorKeyId } from "../format/manifest-key.js";
import type { ManifestObject, ManifestState, ManifestStore, NewManifest } from "./manifest-ports.js";
import { REWRITE_LEASE } from "./manifest-ports.js";
import type { ManifestSource, WriterDeps } from "./manifest-writer.js";
import { writeManifest } from "./manifest-writer.js";
import type { FileTerms, StoredFile, Upload } from "./model.js";
import { possibleCopies } from "./copies.js";
import { putUpSignposts } from "./signposts.js";
import { hasDigest, readObject } from "./whole-object.js";
import type { Finish, Log } from "./ports.js";

const BATCH = 100;
/** Another writer may be faster, and the file may change meanwhile: then once more, this often. */
const MAX_TRIES = 3;
const ALL = { from: null, until: Infinity };

interface ManifestsDeps extends WriterDeps {
  readonly store: ManifestStore;
  readonly log: Log;
}

/** What is known of a file that is about to be one. */
interface FileToBe {
  readonly file: Finish["file"];
  readonly dek: Uint8Array;
  readonly wrap: Uint8Array;
  readonly terms: FileTerms;
  readonly createdAt: Date;
  readonly chunkMap: WriterDeps["chunkMap"];
}

export interface Refreshed {
  readonly written: number;
  /** To be tried again. */
  readonly failed: number;
}

export class Manifests {
  readonly #escrowId: Uint8Array;
  /** Files whose {@link complete} is under way here, which nobody needs to help. */
  readonly #completing = new Set<FileId>();
  /** Where a pass over the stale ones ran out of time. */
  #doneUpTo: FileId | null = null;

  constructor(private readonly deps: ManifestsDeps) {
    this.#escrowId = deps.operatorKey ? operatorKeyId(deps.operatorKey) : new Uint8Array();
  }

  /** Writes the first manifest of a file, pending under its upload's lease. Throws STORAGE_UNAVAILABLE, STORAGE_FULL. */
  async first(upload: Upload, what: FileToBe): Promise<NewManifest> {
    const { file, dek, wrap, terms, createdAt, chunkMap } = what;
    const { expiresInSeconds, maxDownloads } = terms;
    const expiresAt =
      expiresInSeconds === null ? null : new Date(createdAt.getTime() + expiresInSeconds * 1000);
    const source: ManifestSource = {
      file: { ...file, createdAt, expiresAt, maxDownloads, downloadCount: 0, retainUntil: null },
      wrap,
      mapKey: mapKey(dek),
      revision: 1,
    };
    const deps = { ...this.deps, chunkMap };
    const written = await writeManifest(deps, upload, source, { roots: [], parts: null });
    return { ...written, mapKey: source.mapKey, escrowId: this.#escrowId };
  }

  /**
   * Puts up the signposts of a file that has just become one, and so completes its first manifest. Where that fails the
   * next {@link refreshStale} tries again: the file is there, whoever asks for it.
   */
  async complete(file: Pick<StoredFile, "id" | "hash" | "parity">, first: NewManifest): Promise<void> {
    this.#completing.add(file.id);
    try {
      const signposts = await putUpSignposts(this.deps, file, []);
      if (!first.isComplete || !(await this.#areEnough(file, signposts))) return;
      // A chunk that was moved while it was written may be gone soon from where this says it is.
      if (!(await this.deps.store.complete(file.id, signposts))) await this.refresh(file.id);
    } catch (error) {
      this.deps.log.warn("signposts of a new file could not be put up, it is tried again", {
        fileId: file.id,
        reason: String(error),
      });
    } finally {
      this.#completing.delete(file.id);
    }
  }

  /**
   * Writes a file's manifest anew if it is stale. True: it says what the database says, or there is none to write.
   * False: it could not be made to; the next {@link refreshStale} tries again.
   */
  async refresh(fileId: FileId): Promise<boolean> {
    try {
      for (let tries = 0; tries < MAX_TRIES; tries++) if (await this.#refreshOnce(fileId)) return true;
      return false;
    } catch (error) {
      this.deps.log.warn("a manifest could not be written, it is tried again", {
        fileId,
        reason: String(error),
      });
      return false;
    }
  }

  /** One pass over all that are stale, or what `timeMs` allows of it; the next goes on with the rest. */
  refreshStale(signal?: AbortSignal, timeMs = Infinity): Promise<Refreshed> {
    const from = this.#doneUpTo;
    this.#doneUpTo = null;
    const until = performance.now() + timeMs;
    const page = (after: FileId | null) => this.deps.store.stale(after, BATCH, this.#escrowId);
    return this.#refreshEach(page, signal, { from, until });
  }

  /**
   * One pass over those whose file has changed. What has another operator's key, or none, stays as it is: for commands, which
   * an operator may well run without the key that the servers have.
   */
  refreshChanged(signal?: AbortSignal): Promise<Refreshed> {
    return this.#refreshEach(after => this.deps.store.changed(after, BATCH, this.#escrowId), signal);
  }

  /** The same, and one over those that leave a bucket which is to be emptied. */
  async refreshOwn(signal?: AbortSignal): Promise<Refreshed> {
    const changed = await this.refreshChanged(signal);
    const left = await this.#refreshEach(
      after => this.deps.store.leaving(after, BATCH, this.#escrowId),
      signal,
    );
    return { written: changed.written + left.written, failed: changed.failed + left.failed };
  }

  async #refreshEach(
    page: (after: FileId | null) => Promise<readonly FileId[]>,
    signal: AbortSignal | undefined,
    { from, until }: { readonly from: FileId | null; readonly until: number } = ALL,
  ): Promise<Refreshed> {
    const done = { written: 0, failed: 0 };
    for (let after = from; ; ) {
      const stale = await page(after);
      for (const fileId of stale) {
        signal?.throwIfAborted();
        if (this.#completing.has(fileId)) continue;
        if (await this.refresh(fileId)) done.written++;
        else done.failed++;
        if (performance.now() > until) {
          this.#doneUpTo = fileId;
          return done;
        }
      }
      after = stale.at(-1) ?? null;
      if (after === null) return done;
    }
  }

  /**
   * Reads every object of a file's manifest; where one is missing or corrupt, it is written anew. True: it was.
   * `countsUnreadable`: also where a bucket does not answer.
   */
  async scrub(
    fileId: FileId,
    { signal, countsUnreadable }: { readonly signal: AbortSignal; readonly countsUnreadable: boolean },
  ): Promise<boolean> {
    const state = await this.deps.store.read(fileId);
    for (const object of state?.objects ?? []) {
      const read = await readObject(this.deps, object, signal);
      const isBad =
        read === "unreadable" ? countsUnreadable : read === null || !(await hasDigest(read, object.digest));
      if (!isBad) continue;
      this.deps.log.info("an object of a manifest is lost, all of it is written anew", { fileId });
      await this.deps.store.outdate(fileId, object);
      return this.refresh(fileId);
    }
    return false;
  }

  /** True once the manifest is as new as the file was when this began. */
  async #refreshOnce(fileId: FileId): Promise<boolean> {
    const state = await this.deps.store.read(fileId);
    if (!state || (await this.#isFresh(state))) return true;
    const roots = state.objects.filter(({ part }) => part === "root");
    const owner = { id: fileId, lease: REWRITE_LEASE };
    const before = { roots, parts: await this.#partsToKeep(state) };
    const written = await writeManifest(this.deps, owner, state, before);
    const signposts = await this.#signposts(state);
    return this.deps.store.replace({
      fileId,
      revision: state.revision,
      escrowId: this.#escrowId,
      objects: [...written.objects, ...signposts],
      isComplete: written.isComplete && (await this.#areEnough(state.file, signposts)),
    });
  }

  /** Those that stand, or others where one is lost, has to move, or was put up under another operator's key. */
  async #signposts(state: ManifestState): Promise<readonly ManifestObject[]> {
    const standing = state.objects.filter(({ part }) => part === "signpost");
    const areRight = this.#isEscrowed(state) && (await this.#areEnough(state.file, standing));
    return areRight && (await this.#areKept(standing))
      ? standing
      : putUpSignposts(this.deps, state.file, standing);
  }

  async #areEnough(
    { parity }: Pick<StoredFile, "parity">,
    signposts: readonly ManifestObject[],
  ): Promise<boolean> {
    return signposts.length >= (await possibleCopies(this.deps.buckets, parity));
  }

  #isEscrowed({ escrowId }: ManifestState): boolean {
    return Buffer.compare(escrowId, this.#escrowId) === 0;
  }

  async #isFresh(state: ManifestState): Promise<boolean> {
    const isWritten = state.writtenRevision === state.revision;
    return isWritten && this.#isEscrowed(state) && (await this.#areKept(state.objects));
  }

  /** The parts of a large map are written anew only where a chunk or a part of them has to move. */
  async #partsToKeep(state: ManifestState): Promise<readonly ManifestObject[] | null> {
    const parts = state.objects.filter(({ part }) => typeof part === "number");
    const areRight = parts.length > 0 && state.mapRevision <= state.writtenRevision;
    return areRight && (await this.#areKept(parts)) ? parts : null;
  }

  /** Whether none of them lies in a bucket that is to be emptied. */
  async #areKept(objects: readonly ManifestObject[]): Promise<boolean> {
    await this.deps.buckets.candidates(); // reads the directory again where it is old
    const leaving = this.deps.buckets.all.filter(({ state }) => state === "draining" || state === "disabled");
    return !objects.some(({ bucketId }) => leaving.some(({ id }) => id === bucketId));
  }
}
