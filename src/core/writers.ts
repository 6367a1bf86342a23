/** The appends of this process. */
import type { FileId } from "../format/id.js";
import type { Upload } from "./model.js";
import { takenOver } from "./upload-errors.js";

interface Current {
  readonly lease: number;
  readonly stop: AbortController;
}

/**
 * Of one upload the append with the newest lease alone can commit. An older one is told at once, where it is in the same
 * process: it would hold its memory for as long as its client lets it.
 */
export class Writers {
  readonly #current = new Map<FileId, Current>();

  /** `work` is given the signal that fires with UPLOAD_TAKEN_OVER once a newer append begins. Throws that where one has. */
  async run<T>(upload: Upload, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { id, lease } = upload;
    const other = this.#current.get(id);
    if (other && other.lease > lease) throw takenOver(upload);
    other?.stop.abort(takenOver(upload));
    const mine = { lease, stop: new AbortController() };
    this.#current.set(id, mine);
    try {
      return await work(mine.stop.signal);
    } finally {
      if (this.#current.get(id) === mine) this.#current.delete(id);
    }
  }
}
