/** The chunk map of a file as its recovery manifest has it: behind the same port as the database's. */
import type { FileCore } from "../format/core.js";
import type { FileId } from "../format/id.js";
import type { ManifestBody, PartRef } from "../format/manifest-body.js";
import type { MapRow } from "../format/manifest-map.js";
import { MapShape, openPart } from "../format/manifest-map.js";
import { FormatError } from "../format/errors.js";
import { BucketError, VaultError } from "./errors.js";
import { readManifest } from "./manifest-search.js";
import type { BucketId, ChunkRecord } from "./model.js";
import type { Bucket, ChunkMap } from "./ports.js";

/** Parts in memory at once: a page of stripes may reach into the next. */
const KEPT_PARTS = 2;

interface MapSource {
  readonly core: FileCore;
  readonly body: ManifestBody;
  readonly mapKey: Uint8Array;
  /** The bucket of a number of the manifest's own table. */
  readonly bucketOf: (id: BucketId) => Pick<Bucket, "get">;
}

export class ManifestMap implements Pick<ChunkMap, "chunks"> {
  readonly shape: MapShape;
  readonly #parts = new Map<number, Promise<ChunkRecord[]>>();

  constructor(private readonly source: MapSource) {
    this.shape = new MapShape(source.core, source.body.profile);
  }

  /** Throws FILE_UNAVAILABLE where no copy of a part can be read. */
  async chunks(_fileId: FileId, fromStripe: number, toStripe: number): Promise<readonly ChunkRecord[]> {
    const last = Math.min(toStripe, this.shape.stripeCount - 1);
    const { partStripes, partCount } = this.shape;
    const partOf = (stripe: number) => (partCount === 0 ? 0 : Math.floor(stripe / partStripes));
    const records: ChunkRecord[] = [];
    for (let part = partOf(fromStripe); part <= partOf(last); part++) {
      for (const record of await this.#part(part)) {
        if (record.stripe >= fromStripe && record.stripe <= last) records.push(record);
      }
    }
    return records;
  }

  #part(part: number): Promise<ChunkRecord[]> {
    const known = this.#parts.get(part);
    if (known !== undefined) return known;
    const reading = this.#read(part);
    reading.catch(() => this.#parts.delete(part));
    this.#parts.set(part, reading);
    for (const old of [...this.#parts.keys()].slice(0, -KEPT_PARTS)) this.#parts.delete(old);
    return reading;
  }

  async #read(part: number): Promise<ChunkRecord[]> {
    const { map } = this.source.body;
    if ("rows" in map) return recordsOf(this.shape, { from: 0, to: this.shape.stripeCount }, map.rows);
    const stripes = this.shape.stripesOfPart(part);
    const failures: unknown[] = [];
    for (const ref of map.parts[part] ?? []) {
      try {
        return recordsOf(this.shape, stripes, await this.#readCopy(part, ref, stripes));
      } catch (error) {
        if (!(error instanceof FormatError || error instanceof BucketError)) throw error;
        failures.push(error);
      }
    }
    const { fileId } = this.source.core;
    throw new VaultError(
      "FILE_UNAVAILABLE",
      `file ${fileId}: no copy of part ${part} of its map can be read`,
      {
        cause: new AggregateError(failures),
      },
    );
  }

  async #readCopy(part: number, ref: PartRef, { from, to }: { from: number; to: number }): Promise<MapRow[]> {
    const object = await readManifest(this.source.bucketOf(ref.bucketId), ref.objectKey);
    if (!object) throw new BucketError("unavailable", `object ${ref.objectKey} is missing`);
    const args = { mapKey: this.source.mapKey, objectKey: ref.objectKey, part };
    return openPart(args, object, this.shape.rowsIn(from, to));
  }
}

function recordsOf(
  shape: MapShape,
  { from, to }: { from: number; to: number },
  rows: readonly MapRow[],
): ChunkRecord[] {
  const places = shape.places(from, to);
  return rows.map(row => {
    const { value } = places.next();
    if (!value) throw new FormatError("a map with more rows than places");
    return { ...row, ...value };
  });
}
