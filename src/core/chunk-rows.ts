/** The chunk rows of one body, a page of stripes at a time, in the order in which a gather asks. */
import type { Body } from "./body.js";
import { VaultError } from "./errors.js";
import type { ChunkRecord } from "./model.js";
import type { ChunkMap } from "./ports.js";
import { slotOf } from "./slot.js";

/** Stripes whose rows are fetched at once: bounds memory and queries for a file of any size. */
const STRIPES_PER_PAGE = 64;
/** Far less than what is moved stays where it was ({@link ChunkRows.areFresh}). */
const FRESH_MS = 5_000;

export class ChunkRows {
  /** By stripe; of each its rows by shard. */
  #page: Promise<ReadonlyMap<number, ReadonlyMap<number, ChunkRecord>>> = Promise.resolve(new Map());
  #firstStripe = -STRIPES_PER_PAGE;
  #fetchedMs = -Infinity;

  constructor(
    private readonly chunkMap: Pick<ChunkMap, "chunks">,
    private readonly body: Body,
  ) {}

  /** The row of a data chunk. Throws FILE_UNAVAILABLE when there is none. */
  async of(chunkIndex: number): Promise<ChunkRecord> {
    const { stripe, shard } = slotOf(chunkIndex, this.body.parity);
    const row = (await this.stripe(stripe)).get(shard);
    if (row) return row;
    throw new VaultError("FILE_UNAVAILABLE", `file ${this.body.fileId}: chunk ${chunkIndex} has no row`);
  }

  /**
   * Whether the rows that are known were read so lately that no object they name can have been moved and deleted: what is
   * moved stays where it was for minutes (relocate.ts).
   */
  get areFresh(): boolean {
    return performance.now() - this.#fetchedMs < FRESH_MS;
  }

  /** The row as it is now, and with it those that come after it: what moved one chunk may have moved them all. */
  again(chunkIndex: number): Promise<ChunkRecord> {
    this.#turnTo(slotOf(chunkIndex, this.body.parity).stripe);
    return this.of(chunkIndex);
  }

  /** The rows of a stripe by shard, parity included. */
  async stripe(stripe: number): Promise<ReadonlyMap<number, ChunkRecord>> {
    if (stripe >= this.#firstStripe + STRIPES_PER_PAGE || stripe < this.#firstStripe) this.#turnTo(stripe);
    return (await this.#page).get(stripe) ?? new Map();
  }

  #turnTo(stripe: number): void {
    this.#firstStripe = stripe;
    this.#fetchedMs = performance.now();
    this.#page = this.#fetch(stripe);
    this.#page.catch(() => {}); // told to whoever waits for it
  }

  async #fetch(stripe: number): Promise<Map<number, Map<number, ChunkRecord>>> {
    const page = new Map<number, Map<number, ChunkRecord>>();
    for (const row of await this.chunkMap.chunks(this.body.fileId, stripe, stripe + STRIPES_PER_PAGE - 1)) {
      const rows = page.get(row.stripe) ?? new Map<number, ChunkRecord>();
      page.set(row.stripe, rows.set(row.shard, row));
    }
    return page;
  }
}
