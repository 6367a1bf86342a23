import { beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ChunkListFilter, ChunkView } from "../../src/core/catalogue.js";
import type { StoredFile } from "../../src/core/model.js";
import { newFile, newUpload, run, some, stores } from "./fixture.js";
import type { Read } from "./paging.js";
import { ALL, backward, forward } from "./paging.js";

const s = stores();

/** Files of 2 + 1 chunks a stripe, each shard in a bucket of its own; some chunks are not well. */
let files: readonly StoredFile[];
beforeAll(async () => {
  files = [await newFile(s, 5), await newFile(s, 2), await newFile(s, 9)];
  await run(s, "update chunks set state = 1 where stripe = 1 and shard = 0");
  await run(s, "update chunks set state = 2 where stripe = 1 and shard = 2");
});

const read =
  (file: StoredFile, filter: ChunkListFilter = {}): Read<ChunkView> =>
  async page =>
    some((await s.chunkCatalogue.pages([file], page, filter))[0]);
const whole = async (file: StoredFile, filter: ChunkListFilter = {}) =>
  (await read(file, filter)(ALL)).entries.map(entry => entry.node);

const matches =
  ({ bucketId, state, kind }: ChunkListFilter) =>
  (chunk: ChunkView): boolean =>
    (bucketId === undefined || chunk.bucketId === bucketId) &&
    (state === undefined || state.includes(chunk.state)) &&
    (kind === undefined || chunk.shard < 2 === (kind === "data"));

const filter: fc.Arbitrary<ChunkListFilter> = fc.record(
  {
    bucketId: fc.integer({ min: 1, max: 4 }),
    state: fc.subarray(["stored", "missing", "corrupt"]),
    kind: fc.constantFrom("data", "parity"),
  },
  { requiredKeys: [] },
);

describe("the chunk map of a file", () => {
  test("is its rows, in order", async () => {
    const file = some(files[0]);
    const nodes = await whole(file);
    expect(nodes.map(({ stripe, shard }) => [stripe, shard])).toEqual(
      Array.from({ length: 15 }, (_, i) => [Math.floor(i / 3), i % 3]),
    );
    expect(nodes[0]).toEqual({
      ...some((await s.chunkMap.chunks(file.id, 0, 0))[0]),
      fileId: file.id,
      state: "stored",
      writtenAt: expect.any(Date),
      lastVerifiedAt: null,
    });
    expect(nodes[3]?.state).toBe("missing");
    expect(nodes[5]?.state).toBe("corrupt");
  });

  test("is whole in pages forward and in pages backward, under any filter; so is the total", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(2), filter, fc.integer({ min: 1, max: 8 }), async (which, wanted, limit) => {
        const file = some(files[which]);
        const all = (await whole(file)).filter(matches(wanted));
        expect(await forward(read(file, wanted), limit)).toEqual(all);
        expect(await backward(read(file, wanted), limit)).toEqual(all);
        expect(await (await read(file, wanted)({ ...ALL, limit })).totalCount()).toBe(all.length);
      }),
      { numRuns: 40 },
    );
  });

  test("is read together with those of other files, each as it is alone, with its own cursors and total", async () => {
    const unknown = { id: newUpload().id, parity: { dataChunks: 2, parityChunks: 1 } };
    for (const backward of [false, true]) {
      const page = { ...ALL, limit: 4, backward };
      const together = await s.chunkCatalogue.pages([...files, unknown], page, {});
      for (const [i, file] of files.entries()) {
        const alone = await read(file)(page);
        expect(together[i]).toEqual({ ...alone, totalCount: expect.any(Function) });
        expect(await together[i]?.totalCount()).toBe(await alone.totalCount());
      }
      expect(together[3]?.entries).toEqual([]);
      expect(await together[3]?.totalCount()).toBe(0);
    }
  });

  test("refuses the cursor of another file's, and what is none", async () => {
    const [one, two] = [some(files[0]), some(files[1])];
    const { cursor } = some((await read(one)(ALL)).entries[0]);
    for (const after of [cursor, "", "x", Buffer.from(`chunks ${two.id} 0 x`).toString("base64url")]) {
      await expect(read(two)({ ...ALL, after })).rejects.toMatchObject({ code: "BAD_REQUEST" });
      await expect(read(two)({ ...ALL, before: after })).rejects.toMatchObject({ code: "BAD_REQUEST" });
    }
  });

  test("is found chunk by chunk", async () => {
    const file = some(files[1]);
    for (const chunk of await whole(file)) {
      expect(await s.lookup.chunk(file.id, chunk.stripe, chunk.shard)).toEqual(chunk);
    }
    expect(await s.lookup.chunk(file.id, 2, 0)).toBeNull();
  });
});
