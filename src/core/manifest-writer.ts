/**
 * Writing one manifest: the chunk map a part at a time, then the manifest itself, each in several buckets. Nothing is
 * overwritten; whoever commits what is returned declares the objects before it dead.
 */
import { randomBytes } from "node:crypto";
import { decodeCore } from "../format/core.js";
import type { ManifestBody } from "../format/manifest-body.js";
import { manifestPrefix, newManifestKey } from "../format/manifest-key.js";
import type { MapRow } from "../format/manifest-map.js";
import { MAX_PART_ROWS, MapShape, sealPart } from "../format/manifest-map.js";
import { sealManifest } from "../format/manifest.js";
import type { Budget } from "./budget.js";
import type { Draft } from "./copies.js";
import { copyCount, possibleCopies, slotOrder, storeCopies } from "./copies.js";
import { VaultError } from "./errors.js";
import type { SignpostDeps } from "./signposts.js";
import type { ManifestObject } from "./manifest-ports.js";
import type { BucketRecord, StoredFile, Upload } from "./model.js";
import type { ChunkMap } from "./ports.js";

/** What a row takes in memory on its way, roughly, in bytes. */
const ROW_MEMORY_BYTES = 400;

export interface WriterDeps extends SignpostDeps {
  readonly chunkMap: Pick<ChunkMap, "reserve" | "chunks">;
  readonly budget: Budget;
}

/** What a manifest says. */
export interface ManifestSource {
  readonly file: Pick<
    StoredFile,
    | "id"
    | "hash"
    | "core"
    | "seal"
    | "parity"
    | "createdAt"
    | "expiresAt"
    | "retainUntil"
    | "maxDownloads"
    | "downloadCount"
  > & { readonly meta: Uint8Array };
  readonly wrap: Uint8Array;
  readonly mapKey: Uint8Array;
  readonly revision: number;
}

export interface WrittenManifest {
  readonly objects: readonly ManifestObject[];
  /** False: fewer copies than there should be, for want of a bucket that takes one. */
  readonly isComplete: boolean;
}

/**
 * Stores a manifest of `source`, pending under `owner`. `parts` are those of an earlier manifest that still say where the
 * chunks lie; null: there are none. Throws STORAGE_UNAVAILABLE, STORAGE_FULL, BUSY.
 */
export async function writeManifest(
  deps: WriterDeps,
  owner: Pick<Upload, "id" | "lease">,
  source: ManifestSource,
  before: { readonly roots: readonly ManifestObject[]; readonly parts: readonly ManifestObject[] | null },
): Promise<WrittenManifest> {
  const shape = new MapShape(decodeCore(source.file.core), source.file.parity);
  const share = await deps.budget.acquire(Math.min(shape.rowCount, MAX_PART_ROWS) * ROW_MEMORY_BYTES);
  try {
    const writer = new Writer(deps, owner, source, shape);
    const parts = before.parts ?? (await writer.parts());
    const roots = await writer.roots(await writer.body(parts), before.roots);
    const objects = [...roots, ...parts];
    return { objects, isComplete: await writer.isComplete(objects) };
  } finally {
    share.release();
  }
}

class Writer {
  readonly #count: { readonly wanted: number; readonly required: number };

  constructor(
    private readonly deps: WriterDeps,
    private readonly owner: Pick<Upload, "id" | "lease">,
    private readonly source: ManifestSource,
    private readonly shape: MapShape,
  ) {
    this.#count = copyCount(source.file.parity);
  }

  /** Writes the parts of a large map, one after the other. */
  async parts(): Promise<ManifestObject[]> {
    const objects: ManifestObject[] = [];
    for (let part = 0; part < this.shape.partCount; part++) {
      const { from, to } = this.shape.stripesOfPart(part);
      const rows = await this.#rows(from, to);
      const copies = await this.#store(part, () => {
        const objectKey = randomBytes(16).toString("hex");
        return { objectKey, bytes: sealPart({ mapKey: this.source.mapKey, objectKey, part }, rows) };
      });
      objects.push(...copies);
    }
    return objects;
  }

  async body(parts: readonly ManifestObject[]): Promise<ManifestBody> {
    const { file } = this.source;
    const isWhole = this.shape.partCount === 0;
    return {
      seal: file.seal,
      profile: file.parity,
      createdAt: file.createdAt.getTime(),
      expiresAt: file.expiresAt?.getTime() ?? null,
      retainUntil: file.retainUntil?.getTime() ?? null,
      maxDownloads: file.maxDownloads,
      downloadCount: file.downloadCount,
      meta: file.meta,
      buckets: new Map(this.deps.buckets.all.map(({ id, name }: BucketRecord) => [id, name])),
      map: isWhole ? { rows: await this.#rows(0, this.shape.stripeCount) } : { parts: this.#byPart(parts) },
    };
  }

  /** Writes the manifest itself, in slots of which no copy remains, so that no two keys begin alike. */
  roots(body: ManifestBody, before: readonly ManifestObject[]): Promise<readonly ManifestObject[]> {
    const { hash, core } = this.source.file;
    const { wrap, mapKey, revision } = this.source;
    const used = before.map(({ objectKey }) => objectKey);
    const nextSlot = slotOrder(this.deps.random, used, slot => manifestPrefix(hash, slot));
    return this.#store("root", () => {
      const objectKey = newManifestKey(hash, nextSlot());
      const args = { objectKey, mapKey, operatorKey: this.deps.operatorKey };
      return { objectKey, bytes: sealManifest(args, { head: { revision, core, wrap }, body }) };
    });
  }

  /** Whether there are as many copies of everything as there can be. */
  async isComplete(objects: readonly ManifestObject[]): Promise<boolean> {
    const possible = await possibleCopies(this.deps.buckets, this.source.file.parity);
    return objects.length >= possible * (1 + this.shape.partCount);
  }

  /** The rows of some stripes. Throws INTERNAL where the chunk map is not the one that core and profile ask for. */
  async #rows(from: number, to: number): Promise<MapRow[]> {
    const { id } = this.source.file;
    const rows = await this.deps.chunkMap.chunks(id, from, to - 1);
    let i = 0;
    for (const { stripe, shard, storedBytes } of this.shape.places(from, to)) {
      const row = rows[i++];
      if (row?.stripe !== stripe || row.shard !== shard || row.storedBytes !== storedBytes) {
        throw new VaultError("INTERNAL", `file ${id}: chunk (${stripe}, ${shard}) is not in the chunk map`);
      }
    }
    if (i !== rows.length) throw new VaultError("INTERNAL", `file ${id}: more chunk rows than chunks`);
    return [...rows];
  }

  #byPart(parts: readonly ManifestObject[]): ManifestObject[][] {
    const byPart = Array.from({ length: this.shape.partCount }, (): ManifestObject[] => []);
    for (const object of parts) byPart[Number(object.part)]?.push(object);
    const copies = Math.min(...byPart.map(copiesOfOne => copiesOfOne.length));
    return byPart.map(copiesOfOne => copiesOfOne.slice(0, copies));
  }

  #store(part: ManifestObject["part"], make: () => Draft): Promise<readonly ManifestObject[]> {
    return storeCopies(this.deps, this.owner, this.#count, part, make);
  }
}
