import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { ChunkRows } from "../../src/database/chunk-map.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault, pieces } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const PLAIN_PER_CHUNK = CHUNK_BYTES - 32;
const PASSWORD = "correct horse";
/** Chunks that one reservation is for at most; with the parity of their stripes of 4+2 half as many objects more. */
const MAX_RESERVED = 16;

let vault: Vault;
beforeAll(async () => {
  vault = await openVault({ parity: "default" });
});
afterAll(() => vault.close());

/** Appends `bytes` after `before`, announced as `announcedBytes`, and says what was reserved for them. */
async function appended({
  length,
  before = 0,
  bytes,
  announcedBytes,
}: {
  length: number | null;
  before?: number;
  bytes: number;
  announcedBytes?: number;
}) {
  const plain = bytesOf(before + bytes, before + bytes);
  const { token, upload } = await vault.begin({ length, chunkBytes: CHUNK_BYTES });
  const first = pieces(plain.subarray(0, before), 700);
  if (before > 0)
    await vault.uploads.append(token, 0, first, { lastByte: "by-length", announcedBytes: before });
  const reserving = jest.spyOn(ChunkRows.prototype, "reserve");
  const rest = pieces(plain.subarray(before), 700);
  await vault.uploads.append(token, before, rest, { lastByte: "by-length", announcedBytes });
  const reservations = reserving.mock.calls.length;
  reserving.mockRestore();
  const [row] = await vault.sql("select count(*) from pending_objects where upload_id = ?", [upload.id]);
  return { token, plain, reservations, unused: Number(row?.["count"]) };
}

test("what was reserved long ago is left to the sweep: another name is reserved", async () => {
  const plain = bytesOf(8 * PLAIN_PER_CHUNK, 20);
  const { token, upload } = await vault.begin({ length: plain.length, chunkBytes: CHUNK_BYTES });
  const now = performance.now.bind(performance);
  let isLater = false;
  jest.spyOn(performance, "now").mockImplementation(() => now() + (isLater ? 301_000 : 0));
  async function* slow() {
    yield* pieces(plain.subarray(0, PLAIN_PER_CHUNK + 1), 700);
    await vault.settled();
    isLater = true;
    yield* pieces(plain.subarray(PLAIN_PER_CHUNK + 1), 700);
  }
  await vault.uploads.append(token, 0, slow(), { lastByte: "by-length", announcedBytes: plain.length });
  jest.restoreAllMocks();
  const old = await vault.sql("select object_key from pending_objects where upload_id = ?", [upload.id]);
  expect(old).toHaveLength(11); // all but the first, and the parity of two stripes
  const { hash } = await vault.uploads.finish(token);
  expect(await vault.read(hash, PASSWORD)).toEqual(plain);
  await vault.sweep();
  expect(await vault.objects()).toHaveLength(12 + (await vault.manifestObjects(upload.id)).length);
});

describe("an append that says how many bytes it brings", () => {
  const CHUNKS = (count: number) => count * PLAIN_PER_CHUNK;
  test.each([
    // of, before, brought, reservations, what
    [CHUNKS(8), 0, CHUNKS(8), 1, "a small file"],
    [CHUNKS(8) + 5, 0, CHUNKS(8) + 5, 1, "one with a short last chunk"],
    [CHUNKS(40), 0, CHUNKS(40), 3, "more than one reservation"],
    [CHUNKS(40), CHUNKS(8), CHUNKS(8), 1, "a part of a file, chunk to chunk"],
    [
      CHUNKS(40),
      CHUNKS(8) + 3,
      CHUNKS(8),
      2,
      "a part that begins and ends within chunks: its tail is the second",
    ],
    [CHUNKS(40), CHUNKS(2) + 3, 5, 1, "too few for a chunk: a tail alone"],
    [
      null,
      0,
      CHUNKS(8),
      2,
      "a part of a file of unknown length: its last chunk may be the last, and waits as tail",
    ],
    [0, 0, 0, 1, "an empty file"],
  ] as const)(
    "of %d bytes with %d, %d more: reserves %d times and nothing in vain: %s",
    async (length, before, bytes, expected, _what) => {
      const { reservations, unused } = await appended({ length, before, bytes, announcedBytes: bytes });
      expect([reservations, unused]).toEqual([expected, 0]);
    },
  );

  test.each([
    CHUNKS(40), // more than come
    CHUNKS(3),
    0,
    Number.MAX_SAFE_INTEGER, // more than any file has
    undefined,
  ])("or is wrong about it, saying %d, stores them all the same", async announcedBytes => {
    const announced = announcedBytes === undefined ? {} : { announcedBytes };
    const length = CHUNKS(50);
    const { token, plain, unused } = await appended({ length, bytes: CHUNKS(10), ...announced });
    expect(unused).toBeLessThan(MAX_RESERVED * 1.5);
    const rest = bytesOf(length - plain.length, 3);
    await vault.uploads.append(token, plain.length, pieces(rest, 700), { lastByte: "by-length" });
    const file = await vault.uploads.finish(token);
    const stored = Buffer.from(await vault.read(file.hash, PASSWORD));
    expect(stored.equals(Buffer.concat([plain, rest]))).toBe(true);
  });
});
