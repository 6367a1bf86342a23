import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { BucketError } from "../../src/core/errors.js";
import type { ChunkRecord, StoredFile } from "../../src/core/model.js";
import { parityOf } from "../../src/format/parity/encode.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault, pieces } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const PLAIN_PER_CHUNK = CHUNK_BYTES - 32;
const PASSWORD = "correct horse";
/** 4+2 over six buckets. */
const WIDTH = 6;
const DATA = 4;
/** Two buckets that fail, and how many reads may go by until that is known. */
const LOST = [1, 4];
const FIRST_READS = 8;

let vault: Vault;
beforeAll(async () => {
  vault = await openVault({ parity: "default" });
});
afterAll(() => vault.close());

async function stored(length: number, seed: number): Promise<{ plain: Uint8Array; file: StoredFile }> {
  const plain = bytesOf(length, seed);
  return { plain, file: await vault.store(plain, { chunkBytes: CHUNK_BYTES }) };
}

function rowsOf(file: { readonly id: string }, of = vault): Promise<readonly ChunkRecord[]> {
  return of.chunkMap.chunks(file.id, 0, 1000);
}

async function statusOf(file: StoredFile): Promise<string | undefined> {
  return (await vault.files.find(file.hash))?.status;
}

describe("what is stored of a file", () => {
  test.each([
    // bytes                     stripes  why
    [0, 1, "an empty file"],
    [10, 1, "a short chunk alone"],
    [PLAIN_PER_CHUNK, 1, "one whole chunk"],
    [2 * PLAIN_PER_CHUNK + 5, 1, "a stripe that is not full, its last chunk short"],
    [DATA * PLAIN_PER_CHUNK, 1, "a full stripe"],
    [DATA * PLAIN_PER_CHUNK + 1, 2, "one byte more"],
    [11 * PLAIN_PER_CHUNK + 7, 3, "several stripes"],
  ])("of %d bytes is the parity of each of its %d stripes: %s", async (length, stripes) => {
    const { file } = await stored(length, length);
    const rows = await rowsOf(file);
    expect(new Set(rows.map(row => row.stripe)).size).toBe(stripes);
    for (let stripe = 0; stripe < stripes; stripe++) {
      const own = rows.filter(row => row.stripe === stripe);
      const data = await Promise.all(own.filter(row => row.shard < DATA).map(row => vault.object(row)));
      const parity = await Promise.all(own.filter(row => row.shard >= DATA).map(row => vault.object(row)));
      expect(parity).toEqual(parityOf(file.parity, data));
      expect(new Set(own.map(row => row.bucketId)).size).toBe(own.length);
    }
  });

  test("does not depend on how its bytes came: resumed anywhere in a stripe, its parity is the same sum", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 6 * PLAIN_PER_CHUNK }), { minLength: 2, maxLength: 8 }),
        async lengths => {
          const total = lengths.reduce((sum, length) => sum + length, 0);
          const { token, upload } = await vault.begin({ length: total, chunkBytes: CHUNK_BYTES });
          let offset = 0;
          for (const length of lengths) {
            const part = bytesOf(total, total).subarray(offset, offset + length);
            offset = await vault.uploads.append(token, offset, pieces(part, 700), { lastByte: "by-length" });
          }
          await vault.uploads.finish(token);
          const rows = await rowsOf(upload);
          for (const stripe of new Set(rows.map(row => row.stripe))) {
            const own = rows.filter(row => row.stripe === stripe);
            const objects = await Promise.all(own.map(row => vault.object(row)));
            const dataCount = own.filter(row => row.shard < DATA).length;
            expect(objects.slice(dataCount)).toEqual(parityOf(upload.parity, objects.slice(0, dataCount)));
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  test("is the same where there is no memory for sums: the stripes are read back when they close", async () => {
    await using small = await openVault({ memoryBytes: 64 * 1024, parity: "default" });
    const plain = bytesOf(11 * 16_000, 9);
    const file = await small.store(plain, { chunkBytes: 16 * 1024 });
    const rows = await rowsOf(file, small);
    for (const stripe of new Set(rows.map(row => row.stripe))) {
      const own = rows.filter(row => row.stripe === stripe);
      const objects = await Promise.all(own.map(row => small.object(row)));
      const dataCount = own.filter(row => row.shard < DATA).length;
      expect(objects.slice(dataCount)).toEqual(parityOf(file.parity, objects.slice(0, dataCount)));
    }
    expect(await small.read(file.hash, PASSWORD)).toEqual(plain);
  });

  test("has its memory until it is stored, also where there was none for a sum", async () => {
    await using own = await openVault({ parity: "default", memoryBytes: 64 * 1024 });
    const chunkBytes = 16 * 1024;
    const plainPerChunk = chunkBytes - 32;
    const plain = bytesOf(DATA * plainPerChunk, 30);
    const { token } = await own.begin({ length: plain.length, chunkBytes });
    const append = (from: number, to: number) =>
      own.uploads.append(token, from, pieces(plain.subarray(from, to), 700), { lastByte: "by-length" });
    await append(0, 3 * plainPerChunk);
    const before = own.calls("put");
    const stalled = own.faulty.map(bucket => {
      const puts = bucket.calls.put;
      return { goOn: bucket.stall("put"), isAsked: () => bucket.calls.put > puts };
    });
    const rest = append(3 * plainPerChunk, plain.length);
    while (own.calls("put") < before + 1) await sleep(10);
    stalled.find(({ isAsked }) => isAsked())?.goOn(); // the last chunk
    while (own.calls("put") < before + 3) await sleep(10); // the parity of all
    const { rebuildBudget } = own.scrubbable;
    expect(rebuildBudget.free).toBeLessThan(rebuildBudget.total);
    for (const bucket of own.faulty) bucket.heal();
    await rest;
    expect(rebuildBudget.free).toBe(rebuildBudget.total);
  });

  test("holds up nobody where it cannot be made: an append that has failed waits for no memory", async () => {
    await using own = await openVault({ parity: "default", memoryBytes: 64 * 1024 });
    const plain = bytesOf(8 * PLAIN_PER_CHUNK, 31);
    const { token } = await own.begin({ length: plain.length, chunkBytes: CHUNK_BYTES });
    const open = 3 * PLAIN_PER_CHUNK;
    await own.uploads.append(token, 0, pieces(plain.subarray(0, open), 700), { lastByte: "by-length" });
    for (const bucket of own.faulty) bucket.fail("get");
    const { budget } = own;
    const held = await budget.acquire(budget.total - 2 * CHUNK_BYTES);
    async function* source() {
      yield plain.slice(open, open + PLAIN_PER_CHUNK);
      void budget.acquire(budget.total).then(share => share.release()); // others, before the next chunk
      yield plain.slice(open + PLAIN_PER_CHUNK);
    }
    await expect(own.uploads.append(token, open, source(), { lastByte: "by-length" })).rejects.toBeInstanceOf(
      BucketError,
    );
    const { rebuildBudget } = own.scrubbable;
    expect(rebuildBudget.free).toBe(rebuildBudget.total);
    held.release();
  });

  test("reads nothing back for a stripe that an append leaves open", async () => {
    const { token } = await vault.begin({ length: 40 * PLAIN_PER_CHUNK, chunkBytes: CHUNK_BYTES });
    const before = vault.calls("get");
    const part = bytesOf(PLAIN_PER_CHUNK, 1);
    for (let i = 0; i < 3; i++) {
      await vault.uploads.append(token, i * PLAIN_PER_CHUNK, pieces(part, 500), { lastByte: "by-length" });
    }
    expect(vault.calls("get") - before).toBe(0);
  });
});

describe("a download of a file that has lost chunks", () => {
  test("is byte-equal whichever one or two chunks of its stripes are gone, ranges too", async () => {
    const { plain, file } = await stored(6 * PLAIN_PER_CHUNK + 100, 1);
    const rows = await rowsOf(file);
    for (let a = 0; a < WIDTH; a++) {
      for (let b = a; b < WIDTH; b++) {
        const lost = rows.filter(row => row.shard === a || row.shard === b);
        const objects = await Promise.all(lost.map(row => vault.object(row)));
        for (const row of lost) await vault.replace(row, null);
        expect(await vault.read(file.hash, PASSWORD)).toEqual(plain);
        const range = { start: PLAIN_PER_CHUNK - 3, end: 5 * PLAIN_PER_CHUNK + 9 };
        expect(await vault.read(file.hash, PASSWORD, range)).toEqual(plain.subarray(range.start, range.end));
        for (const [at, row] of lost.entries()) await vault.replace(row, objects[at] ?? null);
      }
    }
  });

  test("fails, and gives out nothing wrong, when three of a stripe are gone", async () => {
    const { plain, file } = await stored(4 * PLAIN_PER_CHUNK, 2);
    for (const row of (await rowsOf(file)).slice(1, 4)) await vault.replace(row, null);
    const received: Uint8Array[] = [];
    await expect(vault.stream(file.hash, PASSWORD, received)).rejects.toMatchObject({
      code: "FILE_UNAVAILABLE",
    });
    const got = Buffer.concat(received);
    expect(got.equals(plain.subarray(0, got.length))).toBe(true);
  });

  test("is byte-equal whatever was done to any object, also to two of one stripe", async () => {
    const { plain, file } = await stored(5 * PLAIN_PER_CHUNK + 77, 3);
    const { file: other } = await stored(5 * PLAIN_PER_CHUNK + 77, 4);
    const [rows, theirs] = [await rowsOf(file), await rowsOf(other)];
    for (const [index, row] of rows.entries()) {
      const [object, foreign] = [await vault.object(row), theirs[index]];
      if (!foreign) throw new Error("both files have the same number of chunks");
      const flipped = object.with(object.length >> 1, (object[object.length >> 1] ?? 0) ^ 1);
      const damages = [null, flipped, object.subarray(0, -1), await vault.object(foreign), new Uint8Array()];
      for (const damage of damages) {
        await vault.replace(row, damage);
        expect(await vault.read(file.hash, PASSWORD)).toEqual(plain);
        const next = rows.find(one => one.stripe === row.stripe && one.shard === (row.shard + 1) % DATA);
        if (!next || next === row) continue;
        const itsObject = await vault.object(next);
        await vault.replace(next, itsObject.with(9, (itsObject[9] ?? 0) ^ 4));
        expect(await vault.read(file.hash, PASSWORD)).toEqual(plain);
        await vault.replace(next, itsObject);
      }
      await vault.replace(row, object);
    }
  });

  test.each([
    ["missing", () => null],
    ["corrupt", (object: Uint8Array) => object.with(3, (object[3] ?? 0) ^ 1)],
  ])("notes a %s chunk, and that the file is degraded", async (state, damage) => {
    const { plain, file } = await stored(3 * PLAIN_PER_CHUNK, 5);
    expect(await statusOf(file)).toBe("available");
    const [, row] = await rowsOf(file);
    if (!row) throw new Error("a second chunk expected");
    await vault.replace(row, damage(await vault.object(row)));
    expect(await vault.read(file.hash, PASSWORD)).toEqual(plain);
    expect(await statusOf(file)).toBe("degraded");
    const page = { limit: 50, after: null, before: null, backward: false };
    const [map] = await vault.chunkCatalogue.pages([file], page, {});
    const noted = map?.entries.filter(({ node }) => node.state === state);
    expect(noted?.map(({ node }) => node.shard)).toEqual([row.shard]);
  });

  test("goes on without a bucket that does not answer, and notes no damage: it may come back", async () => {
    await using own = await openVault({ parity: "default" });
    const plain = bytesOf(40 * PLAIN_PER_CHUNK, 6);
    const file = await own.store(plain, { chunkBytes: CHUNK_BYTES });
    own.faulty[1]?.fail("get");
    const release = own.faulty[4]?.stall("get");
    expect(await own.read(file.hash, PASSWORD)).toEqual(plain);
    release?.();
    expect((await own.files.find(file.hash))?.status).toBe("available");
  });

  type Loss = (of: Vault, rows: readonly ChunkRecord[]) => Promise<unknown>;
  test.each<[string, Loss]>([
    ["have stopped to answer", async of => LOST.map(at => of.faulty[at]?.stall("get"))],
    ["have lost their objects", (of, rows) => Promise.all(rows.map(row => of.replace(row, null)))],
  ])("asks buckets that %s for their own chunks, but not to rebuild others", async (_, lose) => {
    await using own = await openVault({ parity: "default" });
    const plain = bytesOf(100 * PLAIN_PER_CHUNK, 9);
    const file = await own.store(plain, { chunkBytes: CHUNK_BYTES });
    const rows = await rowsOf(file, own);
    const before = LOST.map(at => own.faulty[at]?.calls.get ?? 0);
    const nameOf = ({ bucketId }: ChunkRecord) => own.buckets.port(bucketId).name;
    const lost = LOST.map(at => rows.filter(row => nameOf(row) === own.faulty[at]?.name));
    await lose(own, lost.flat());
    expect(await own.read(file.hash, PASSWORD)).toEqual(plain);
    for (const bucket of own.faulty) bucket.heal();
    for (const [i, at] of LOST.entries()) {
      const asked = (own.faulty[at]?.calls.get ?? 0) - (before[i] ?? 0);
      const itsOwn = lost[i]?.filter(({ shard }) => shard < DATA).length ?? 0;
      expect(asked).toBeLessThanOrEqual(itsOwn + FIRST_READS);
    }
  });
});

describe("an upload while buckets fail", () => {
  test("goes on with any two of six gone, and what it stored survives one bucket more", async () => {
    await using own = await openVault({ parity: "default" });
    for (const gone of [0, 3]) own.faulty[gone]?.fail("any");
    const plain = bytesOf(23 * PLAIN_PER_CHUNK, 7);
    const file = await own.store(plain, { chunkBytes: CHUNK_BYTES });
    for (const bucket of own.faulty) bucket.heal();
    const stripes = new Set((await rowsOf(file, own)).map(row => row.stripe));
    for (const stripe of stripes) {
      const buckets = (await rowsOf(file, own)).filter(row => row.stripe === stripe).map(row => row.bucketId);
      for (const id of buckets) expect(buckets.filter(one => one === id).length).toBeLessThanOrEqual(2);
    }
    own.faulty[5]?.fail("any");
    expect(await own.read(file.hash, PASSWORD)).toEqual(plain);
  });

  test("refuses, with what was acknowledged kept, when too few are left to survive a loss", async () => {
    await using own = await openVault({ parity: "default" });
    const plain = bytesOf(23 * PLAIN_PER_CHUNK, 8);
    const { token } = await own.begin({ length: plain.length, chunkBytes: CHUNK_BYTES });
    const half = 9 * PLAIN_PER_CHUNK;
    await own.uploads.append(token, 0, pieces(plain.subarray(0, half), 900), { lastByte: "by-length" });
    for (const bucket of own.faulty.slice(1)) bucket.fail("put");
    const rest = () => pieces(plain.subarray(half), 900);
    await expect(own.uploads.append(token, half, rest(), { lastByte: "by-length" })).rejects.toMatchObject({
      code: "STORAGE_UNAVAILABLE",
    });
    for (const bucket of own.faulty) bucket.heal();
    const { offset } = await own.uploads.find(token);
    expect(offset).toBeGreaterThanOrEqual(half);
    await own.uploads.append(token, offset, pieces(plain.subarray(offset), 900), { lastByte: "by-length" });
    const file = await own.uploads.finish(token);
    expect(await own.read(file.hash, PASSWORD)).toEqual(plain);
  });
});
