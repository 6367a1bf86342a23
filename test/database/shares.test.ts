import { describe, expect, test } from "@jest/globals";
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import type { BucketShare, ChunkRange, MappedFile } from "../../src/core/catalogue.js";
import { newFileId } from "../../src/format/id.js";
import { newFile, run, some, stores } from "./fixture.js";

const s = stores();

/** A chunk of the drawn map; `bucketId` differs within a stripe. */
interface Cell {
  readonly stripe: number;
  readonly shard: number;
  readonly bucketId: number;
  readonly storedBytes: number;
}

/** Maps of k + 1 chunks a stripe, scattered over 4 buckets by rotations, with holes where rows are missing. */
const map = fc
  .record({
    dataChunks: fc.integer({ min: 1, max: 3 }),
    stripes: fc.array(fc.record({ turn: fc.nat(3), hole: fc.option(fc.nat(3), { freq: 4 }) }), {
      minLength: 1,
      maxLength: 30,
    }),
  })
  .map(({ dataChunks, stripes }) => ({
    dataChunks,
    stripeCount: stripes.length,
    cells: stripes.flatMap(({ turn, hole }, stripe) =>
      Array.from({ length: dataChunks + 1 }, (_, shard) => shard)
        .filter(shard => shard !== hole)
        .map(
          (shard): Cell => ({ stripe, shard, bucketId: 1 + ((shard + turn) % 4), storedBytes: 32 + shard }),
        ),
    ),
  }));

async function insert(dataChunks: number, cells: readonly Cell[]): Promise<MappedFile> {
  const id = newFileId();
  const rows = cells.map(
    ({ stripe, shard, bucketId, storedBytes }) =>
      `('${id}', ${stripe}, ${shard}, ${bucketId}, '${randomBytes(16).toString("hex")}', ${storedBytes}, sha256(''))`,
  );
  if (rows.length > 0) {
    await run(
      s,
      `insert into chunks (file_id, stripe, shard, bucket_id, object_key, stored_bytes, digest) values ${rows.join(", ")}`,
    );
  }
  return { id, parity: { dataChunks, parityChunks: 1 } };
}

/** The numbers of a bucket's data chunks, in order. */
function numbersIn(bucketId: number, dataChunks: number, cells: readonly Cell[]): number[] {
  return cells
    .filter(cell => cell.bucketId === bucketId && cell.shard < dataChunks)
    .map(({ stripe, shard }) => stripe * dataChunks + shard);
}

function islands(numbers: readonly number[]): ChunkRange[] {
  const ranges: ChunkRange[] = [];
  for (const number of numbers) {
    const before = ranges.at(-1);
    if (before?.last === number - 1) {
      ranges[ranges.length - 1] = { ...before, last: number, chunkCount: before.chunkCount + 1 };
    } else ranges.push({ first: number, last: number, chunkCount: 1 });
  }
  return ranges;
}

describe("the shares of a file", () => {
  test("count every chunk in its bucket; ranges hold every data chunk once, and are exact in a short file", async () => {
    await fc.assert(
      fc.asyncProperty(
        map,
        fc.integer({ min: 1, max: 40 }),
        async ({ dataChunks, stripeCount, cells }, maxRanges) => {
          const file = await insert(dataChunks, cells);
          const shares = some((await s.chunkCatalogue.shares([file], maxRanges))[0]);
          const bucketIds = [...new Set(cells.map(({ bucketId }) => bucketId))].sort();
          expect(shares.map(({ bucketId }) => bucketId)).toEqual(bucketIds);
          for (const { bucketId, chunkCount, storedBytes, ranges } of shares) {
            const own = cells.filter(cell => cell.bucketId === bucketId);
            expect(chunkCount).toBe(own.length);
            expect(storedBytes).toBe(own.reduce((sum, cell) => sum + cell.storedBytes, 0));
            const numbers = numbersIn(bucketId, dataChunks, cells);
            expect(ranges.length).toBeLessThanOrEqual(maxRanges);
            if (stripeCount <= maxRanges) expect(ranges).toEqual(islands(numbers));
            for (const [i, { first, last, chunkCount: within }] of ranges.entries()) {
              expect(first).toBeGreaterThan(ranges[i - 1]?.last ?? -1);
              expect(numbers).toEqual(expect.arrayContaining([first, last]));
              expect(numbers.filter(number => number >= first && number <= last)).toHaveLength(within);
            }
            expect(ranges.reduce((sum, range) => sum + range.chunkCount, 0)).toBe(numbers.length);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("of several files are each file's own, in the order asked for; none for a file without chunks", async () => {
    const [two, nine] = [await newFile(s, 2), await newFile(s, 9)];
    const empty = { id: newFileId(), parity: { dataChunks: 2, parityChunks: 1 } };
    const alone = async (file: MappedFile) => some((await s.chunkCatalogue.shares([file], 3))[0]);
    const together: readonly (readonly BucketShare[])[] = await s.chunkCatalogue.shares(
      [nine, empty, two],
      3,
    );
    expect(together).toEqual([await alone(nine), [], await alone(two)]);
  });

  test("of a long file in one bucket are one range: neighbours without a gap are joined", async () => {
    const cells = Array.from({ length: 50 }, (_, stripe) => ({
      stripe,
      shard: 0,
      bucketId: 1,
      storedBytes: 32,
    }));
    const [shares] = await s.chunkCatalogue.shares([await insert(1, cells)], 7);
    expect(shares?.[0]?.ranges).toEqual([{ first: 0, last: 49, chunkCount: 50 }]);
  });
});
