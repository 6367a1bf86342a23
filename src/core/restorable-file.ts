/** One manifest on its way back into a database: what it says, with the numbers that its buckets have there. */
import { sameBytes } from "../format/bytes.js";
import type { FileCore } from "../format/core.js";
import { decodeCore, digestOf, RootHasher } from "../format/core.js";
import { FormatError } from "../format/errors.js";
import type { ManifestBody } from "../format/manifest-body.js";
import { openEscrow, operatorKeyId } from "../format/manifest-key.js";
import { escrowOf, openBody, openHead } from "../format/manifest.js";
import type { BucketNumbers } from "./bucket-numbers.js";
import { ManifestMap } from "./manifest-map.js";
import type { ManifestObject } from "./manifest-ports.js";
import { readManifest } from "./manifest-search.js";
import type { BucketId, ChunkRecord, ObjectRef } from "./model.js";
import type { Bucket } from "./ports.js";
import type { RestoredFile, RestoredMap } from "./rebuild-ports.js";
import { Wherever } from "./wherever.js";

/** Chunk rows that are in memory at once, roughly. */
const PAGE_ROWS = 10_000;

interface RestoreDeps {
  readonly buckets: readonly Bucket[];
  readonly operatorKey: Uint8Array;
}

export class RestorableFile {
  #hash: string | null = null;

  constructor(
    private readonly deps: RestoreDeps,
    private readonly numbers: BucketNumbers,
    private readonly at: ObjectRef,
    private readonly object: Uint8Array,
  ) {}

  /** As far as it could be read. */
  get hash(): string | null {
    return this.#hash;
  }

  /** Throws `FormatError` where it is damaged; the map throws that, or FILE_UNAVAILABLE, when it is read. */
  open(): { restored: RestoredFile; map: RestoredMap } {
    const { operatorKey } = this.deps;
    const { objectKey } = this.at;
    const escrow = openEscrow(operatorKey, objectKey, escrowOf(this.object));
    if (!escrow) throw new FormatError("the escrow of a manifest is damaged");
    this.#hash = escrow.hash;
    const { mapKey } = escrow;
    const { revision, core: coreBytes, wrap } = openHead(escrow.hash, objectKey, this.object);
    const body = openBody(mapKey, objectKey, this.object, coreBytes);
    const core = decodeCore(coreBytes);
    const { seal, meta, profile: parity, maxDownloads, downloadCount } = body;
    const { plainBytes, fileId: id } = core;
    const counts = { plainBytes, maxDownloads, downloadCount };
    const times = {
      createdAt: new Date(body.createdAt),
      expiresAt: body.expiresAt === null ? null : new Date(body.expiresAt),
      retainUntil: body.retainUntil === null ? null : new Date(body.retainUntil),
    };
    const root = {
      ...this.at,
      part: "root" as const,
      storedBytes: this.object.length,
      digest: digestOf(this.object),
    };
    const file = { id, hash: escrow.hash, core: coreBytes, seal, meta, parity, ...counts, ...times };
    const map = new ManifestMap({ core, body, mapKey, bucketOf: number => this.#bucketOf(body, number) });
    return {
      restored: { file, wrap, mapKey, escrowId: operatorKeyId(operatorKey), revision, root },
      map: { parts: () => this.#parts(body), chunks: () => this.#chunks(core, body, map) },
    };
  }

  /** Every copy is read, for its digest: scrubbing goes by that. */
  async #parts(body: ManifestBody): Promise<{ objects: ManifestObject[]; areAll: boolean }> {
    const objects: ManifestObject[] = [];
    const parts = "parts" in body.map ? body.map.parts : [];
    for (const [part, copies] of parts.entries()) {
      for (const { bucketId: number, objectKey } of copies) {
        const object = await readManifest(this.#bucketOf(body, number), objectKey).catch(() => null);
        if (!object) continue;
        const bucketId = await this.numbers.of(nameOf(body, number), [objectKey]);
        objects.push({ bucketId, objectKey, part, storedBytes: object.length, digest: digestOf(object) });
      }
    }
    return { objects, areAll: objects.length === parts.flat().length };
  }

  /** The digests of the data chunks must give the core's root, to which the hash commits. */
  async *#chunks(core: FileCore, body: ManifestBody, map: ManifestMap): AsyncGenerator<ChunkRecord[]> {
    const { dataChunks, parityChunks } = body.profile;
    const pageStripes = Math.max(1, Math.floor(PAGE_ROWS / (dataChunks + parityChunks)));
    const hasher = new RootHasher();
    for (let from = 0; from < map.shape.stripeCount; from += pageStripes) {
      const records = await map.chunks(core.fileId, from, from + pageStripes - 1);
      for (const { shard, digest } of records) if (shard < dataChunks) hasher.add(digest);
      yield await this.#renumbered(body, records);
    }
    if (!sameBytes(hasher.root(), core.root))
      throw new FormatError("a manifest's map does not give the core's root");
  }

  async #renumbered(body: ManifestBody, records: readonly ChunkRecord[]): Promise<ChunkRecord[]> {
    const keys = Map.groupBy(records, record => record.bucketId);
    const numbers = new Map<BucketId, BucketId>();
    for (const [number, held] of keys) {
      const samples = held.map(({ objectKey }) => objectKey);
      numbers.set(number, await this.numbers.of(nameOf(body, number), samples));
    }
    return records.map(record => ({ ...record, bucketId: numbers.get(record.bucketId) ?? record.bucketId }));
  }

  #bucketOf(body: ManifestBody, number: BucketId): Wherever {
    return new Wherever(nameOf(body, number), this.deps.buckets);
  }
}

function nameOf(body: ManifestBody, number: BucketId): string {
  const name = body.buckets.get(number);
  if (name === undefined) throw new FormatError(`a manifest does not name its bucket ${number}`);
  return name;
}
