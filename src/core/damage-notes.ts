/**
 * What one reading of a file has found damaged, on its way to the map. A reader that must rebuild a third of what it
 * reads would wait longer for the database than for the buckets: notes are written beside the reading, all that have
 * come meanwhile in one statement.
 */
import type { FileId } from "../format/id.js";
import type { BucketId, ChunkRecord } from "./model.js";
import type { Damage, DamageReports, Log } from "./ports.js";

/** Notes that may wait; who finds more damage than the database takes waits for it. */
const MAX_WAITING = 1_000;

export interface DamageNotesDeps {
  readonly damage: DamageReports;
  readonly log: Log;
}

export class DamageNotes {
  /** Buckets that have lost an object of the file: where one is missing others will be. */
  readonly lacking = new Set<BucketId>();
  #waiting: Damage[] = [];
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly deps: DamageNotesDeps,
    private readonly fileId: FileId,
  ) {}

  /** Returns at once, but where too many notes wait. */
  async add(chunk: ChunkRecord, state: Damage["state"]): Promise<void> {
    if (state === "missing") this.lacking.add(chunk.bucketId);
    this.#waiting.push({ chunk, state });
    if (this.#waiting.length === 1) this.#writing = this.#writing.then(() => this.#write());
    if (this.#waiting.length >= MAX_WAITING) await this.#writing;
  }

  /** When all have been written, or given up. */
  settle(): Promise<void> {
    return this.#writing;
  }

  async #write(): Promise<void> {
    const notes = this.#waiting;
    this.#waiting = [];
    const { damage, log } = this.deps;
    const { fileId } = this;
    for (const { chunk, state } of notes) {
      log.warn("a chunk was rebuilt for a reader", {
        fileId,
        stripe: chunk.stripe,
        shard: chunk.shard,
        state,
      });
    }
    // The reader has its bytes: that a note could not be written is no reason to fail it.
    await damage.report(fileId, notes).catch((error: unknown) => {
      log.warn("damage could not be noted", { fileId, reason: String(error) });
    });
  }
}
