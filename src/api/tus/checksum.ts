/**
 * The checksum extension, which @tus/server 2.4 does not have. A request with `Upload-Checksum` is all or nothing: its
 * bytes are sealed and stored as they come, and committed only when the whole body has the digest it was sent with.
 */
import type { Hash } from "node:crypto";
import { createHash, timingSafeEqual } from "node:crypto";
import { VaultError } from "../../core/errors.js";
import { badRequest } from "../errors.js";

/** And the length of their digests, in bytes. */
const ALGORITHMS: ReadonlyMap<string, number> = new Map([
  ["sha1", 20],
  ["sha256", 32],
  ["md5", 16],
]);
export const CHECKSUM_ALGORITHMS = [...ALGORITHMS.keys()].join(",");

/** One request's checksum: `hashing` its body on the way, then `verify`. */
export class Checksum {
  readonly #hash: Hash;

  private constructor(
    algorithm: string,
    private readonly expected: Uint8Array,
  ) {
    this.#hash = createHash(algorithm);
  }

  /** Null if the request has none. Throws BAD_REQUEST for an algorithm we do not have, or no base64. */
  static parse(header: string | undefined): Checksum | null {
    if (header === undefined) return null;
    const [algorithm = "", text = "", ...rest] = header.split(" ");
    const expected = Buffer.from(text, "base64");
    const isWellFormed = rest.length === 0 && expected.toString("base64") === text;
    if (!isWellFormed || expected.length !== ALGORITHMS.get(algorithm)) {
      throw badRequest(
        `Upload-Checksum is one of ${CHECKSUM_ALGORITHMS}, a space, and the digest in base64.`,
      );
    }
    return new Checksum(algorithm, expected);
  }

  async *hashing(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of source) {
      this.#hash.update(piece);
      yield piece;
    }
  }

  /** Throws CHECKSUM_MISMATCH. */
  verify(): void {
    if (timingSafeEqual(this.#hash.digest(), this.expected)) return;
    throw new VaultError("CHECKSUM_MISMATCH", "a PATCH has another checksum than its header");
  }
}
