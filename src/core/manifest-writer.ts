/**
 * Writing one manifest: the chunk map a part at a time, then the manifest itself, each in several buckets. Nothing is
 * overwritten; whoever commits what is returned declares the objects before it dead.
 */
import { randomBytes } from "node:crypto";
import { decodeCore, digestOf } from "../format/core.js";
import type { ManifestBody } from "../format/manifest-body.js";
import { MANIFEST_SLOTS, manifestPrefix, newManifestKey } from "../format/manifest-key.js";
import type { MapRow } from "../format/manifest-map.js";
import { MAX_PART_ROWS, MapShape, sealPart } from "../format/manifest-map.js";
import { sealManifest } from "../format/manifest.js";
import type { Budget } from "./budget.js";
import type { Copy, CopiesDeps } from "./copies.js";
import { storeCopies } from "./copies.js";
import { VaultError } from "./errors.js";
import type { ManifestObject } from "./manifest-ports.js";
import type { BucketRecord, StoredFile, Upload } from "./model.js";
import type { ChunkMap } from "./ports.js";

/** With parity m a file survives the loss of m buckets, and so must its manifest; and any one where there are two. */
const MIN_COPIES = 2;
/** What a row takes in memory on its way, roughly, in bytes. */
const ROW_MEMORY_BYTES = 400;

export interface WriterDeps extends CopiesDeps {
  readonly chunkMap: Pick<ChunkMap, "reserve" | "chunks">;
  readonly budget: Budget;
  /** `MAP_KEY`; null: manifests can be read with hash and password alone. */
  readonly operatorKey: Uint8Array | null;
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
  readonly #wanted: number;
  readonly #required: number;

  constructor(
    private readonly deps: WriterDeps,
    private readonly owner: Pick<Upload, "id" | "lease">,
    private readonly source: ManifestSource,
    private readonly shape: MapShape,
  ) {
    this.#required = source.file.parity.parityChunks + 1;
    this.#wanted = Math.max(MIN_COPIES, this.#required);
  }

  /** Writes the parts of a large map, one after the other. */
  async parts(): Promise<ManifestObject[]> {
    const objects: ManifestObject[] = [];
    for (let part = 0; part < this.shape.partCount; part++) {
      const { from, to } = this.shape.stripesOfPart(part);
      const rows = await this.#rows(from, to);
      const copies = await this.#store(() => {
        const objectKey = randomBytes(16).toString("hex");
        return { objectKey, bytes: sealPart({ mapKey: this.source.mapKey, objectKey, part }, rows) };
      });
      objects.push(...copies.map(copy => toObject(copy, part)));
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
  async roots(body: ManifestBody, before: readonly ManifestObject[]): Promise<ManifestObject[]> {
    const { hash, core } = this.source.file;
    const { wrap, mapKey, revision } = this.source;
    const isUsed = (slot: number) =>
      before.some(root => root.objectKey.startsWith(manifestPrefix(hash, slot)));
    const all = Array.from({ length: MANIFEST_SLOTS }, (_, slot) => ({ slot, rank: this.deps.random() }));
    const order = all.sort((a, b) => Number(isUsed(a.slot)) - Number(isUsed(b.slot)) || a.rank - b.rank);
    let next = 0;
    const copies = await this.#store(() => {
      const objectKey = newManifestKey(hash, order[next++ % MANIFEST_SLOTS]?.slot ?? 0);
      const args = { objectKey, mapKey, operatorKey: this.deps.operatorKey };
      return { objectKey, bytes: sealManifest(args, { head: { revision, core, wrap }, body }) };
    });
    return copies.map(copy => toObject(copy, null));
  }

  /** Whether there are as many copies of everything as there can be. */
  async isComplete(objects: readonly ManifestObject[]): Promise<boolean> {
    const possible = Math.min(this.#wanted, (await this.deps.buckets.candidates()).length);
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
    for (const object of parts) byPart[object.part ?? 0]?.push(object);
    const copies = Math.min(...byPart.map(copiesOfOne => copiesOfOne.length));
    return byPart.map(copiesOfOne => copiesOfOne.slice(0, copies));
  }

  #store(make: () => { objectKey: string; bytes: Uint8Array }): Promise<readonly Copy[]> {
    const count = { wanted: this.#wanted, required: this.#required };
    return storeCopies(this.deps, this.owner, count, make);
  }
}

function toObject({ bucketId, objectKey, bytes }: Copy, part: number | null): ManifestObject {
  return { bucketId, objectKey, part, storedBytes: bytes.length, digest: digestOf(bytes) };
}
