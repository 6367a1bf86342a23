/** The sealing threads as they are built: a thread cannot be started from TypeScript. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { SealerPool } from "../../src/workers/pool.js";
import { bytesOf } from "../support/vault.js";

/** Chunks up to this size are worked on where they are. */
const SMALL = 64 * 1024;

let pool: SealerPool;
beforeAll(async () => {
  const built: typeof import("../../src/workers/pool.js") = await import(
    new URL("../../dist/workers/pool.js", import.meta.url).href
  );
  pool = new built.SealerPool(2);
});
afterAll(() => pool.close());

/** Memory that may be given away. */
function copies(pieces: readonly Uint8Array[]): Uint8Array[] {
  return pieces.map(piece => piece.slice());
}

describe("a hash of plain bytes is SHA-256", () => {
  test.each([
    ["of nothing", []],
    ["of an empty chunk", [0]],
    ["of one small chunk", [10]],
    ["of small chunks", [1000, 1000, 1]],
    ["of one large chunk", [SMALL]],
    ["of large chunks and a small rest", [SMALL, SMALL, SMALL, 5]],
  ])("%s", async (_, sizes) => {
    const pieces = sizes.map((bytes, i) => bytesOf(bytes, i));
    const hash = pool.plainHash();
    for (const piece of copies(pieces)) await hash.update(piece);
    expect(Buffer.from(await hash.digest())).toEqual(
      createHash("sha256").update(Buffer.concat(pieces)).digest(),
    );
  });

  test("in the order in which they were given, nobody waiting for the one before, many files at once", async () => {
    const files = Array.from({ length: 9 }, (_, i) =>
      [1, 2, 3, 4].map(j => bytesOf(SMALL + i + j, 10 * i + j)),
    );
    const hashed = files.map(async pieces => {
      const hash = pool.plainHash();
      const given = copies(pieces);
      const back = await Promise.all(given.map(piece => hash.update(piece)));
      expect(back.every((piece, i) => Buffer.compare(piece, pieces[i] ?? piece.subarray(1)) === 0)).toBe(
        true,
      );
      return Buffer.from(await hash.digest());
    });
    expect(await Promise.all(hashed)).toEqual(
      files.map(pieces => createHash("sha256").update(Buffer.concat(pieces)).digest()),
    );
  });

  test("and one that is released leaves the others alone", async () => {
    const [first, second] = [pool.plainHash(), pool.plainHash()];
    const piece = bytesOf(SMALL, 1);
    await Promise.all([first.update(piece.slice()), second.update(piece.slice())]);
    first.release();
    pool.plainHash().release();
    expect(Buffer.from(await second.digest())).toEqual(createHash("sha256").update(piece).digest());
  });
});
