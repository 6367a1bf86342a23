/**
 * What came from the network and has been parsed, freed at once: V8 runs a whole collection for each 64 MiB of such
 * garbage, and all of it is in memory until then. A parser hands on slices, which must outlive it; that a slice of a later
 * piece has come says that the earlier ones are done with, since parts come one after the other and each is read in order.
 */
import { release } from "../../format/bytes.js";

/** Pieces that are remembered: a parser that hands on slices of none (of what follows the form, say) must not keep them all. */
const MAX_PIECES = 64;

export class ParsedPieces {
  readonly #pieces: Uint8Array[] = [];

  /** A piece that goes to the parser. */
  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    if (this.#pieces.length > MAX_PIECES) this.#pieces.shift(); // left to the collector
  }

  /** A slice that is read only now: frees the pieces before the one that it is of. What is a copy frees nothing. */
  reached({ buffer }: Uint8Array): void {
    const at = this.#pieces.findIndex(piece => piece.buffer === buffer);
    for (const piece of this.#pieces.splice(0, Math.max(0, at))) release(piece);
  }
}
