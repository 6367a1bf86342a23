import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import fc from "fast-check";
import type { ChunkRecord } from "../../src/core/model.js";
import { recut } from "../../src/core/recut.js";
import { sweep } from "../../src/core/sweep.js";
import { UploadRows } from "../../src/database/upload-store.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault, pieces } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const PLAIN_PER_CHUNK = CHUNK_BYTES - 32;
const PASSWORD = "correct horse";
/** Objects that a sweep deletes at once. */
const AT_ONCE = 16;

let vault: Vault;
beforeAll(async () => {
  vault = await openVault({ parity: "default" });
});
afterAll(() => vault.close());

describe("an upload", () => {
  test.each([
    // bytes                     why
    [0, "an empty file"],
    [1, "one byte"],
    [PLAIN_PER_CHUNK - 1, "one less than a chunk"],
    [PLAIN_PER_CHUNK, "exactly a chunk: no empty one follows"],
    [PLAIN_PER_CHUNK + 1, "one more than a chunk"],
    [4 * PLAIN_PER_CHUNK, "exactly a stripe"],
    [25 * PLAIN_PER_CHUNK + 7, "more chunks than one reservation"],
  ])("of %d bytes comes back byte-equal: %s", async length => {
    const plain = bytesOf(length, length);
    for (const declared of [length, null]) {
      const { token } = await vault.begin({ length: declared, chunkBytes: CHUNK_BYTES });
      const lastByte = declared === null ? "by-source" : "by-length";
      expect(await vault.uploads.append(token, 0, pieces(plain, 300), { lastByte })).toBe(length);
      const file = await vault.uploads.finish(token);
      expect(await vault.read(file.hash, PASSWORD)).toEqual(plain);
    }
  });

  test("cut anywhere into appends, in pieces of any size, comes back byte-equal", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3 * PLAIN_PER_CHUNK }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 2000 }),
        async (lengths, pieceBytes) => {
          const total = lengths.reduce((sum, length) => sum + length, 0);
          const plain = bytesOf(total, total);
          const { token } = await vault.begin({ length: total, chunkBytes: CHUNK_BYTES });
          let offset = 0;
          for (const length of lengths) {
            const part = plain.subarray(offset, offset + length);
            offset = await vault.uploads.append(token, offset, pieces(part, pieceBytes), {
              lastByte: "by-length",
            });
          }
          expect(offset).toBe(total);
          const file = await vault.uploads.finish(token);
          expect(await vault.read(file.hash, PASSWORD)).toEqual(plain);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("keeps every byte that came before its source broke, and goes on from there", async () => {
    const plain = bytesOf(5 * PLAIN_PER_CHUNK, 1);
    const { token } = await vault.begin({ length: plain.length, chunkBytes: CHUNK_BYTES });
    const cutAt = 2 * PLAIN_PER_CHUNK + 500;
    const broken = breaking(pieces(plain.subarray(0, cutAt), 333), new Error("connection reset"));
    await expect(vault.uploads.append(token, 0, broken, { lastByte: "by-length" })).rejects.toThrow(
      "connection reset",
    );
    expect((await vault.uploads.find(token)).offset).toBe(cutAt);
    await vault.uploads.append(token, cutAt, pieces(plain.subarray(cutAt), 333), { lastByte: "by-length" });
    const file = await vault.uploads.finish(token);
    expect(await vault.read(file.hash, PASSWORD)).toEqual(plain);
  });

  test("whose source ends early is not taken for finished", async () => {
    const { token } = await vault.begin({ length: 5000, chunkBytes: CHUNK_BYTES });
    await vault.uploads.append(token, 0, pieces(bytesOf(4000, 2), 700), { lastByte: "by-length" });
    await expect(vault.uploads.finish(token)).rejects.toMatchObject({ code: "UPLOAD_INCOMPLETE" });
  });

  test("of unknown length whose source breaks has no last chunk", async () => {
    const { token } = await vault.begin({ length: null, chunkBytes: CHUNK_BYTES });
    const broken = breaking(pieces(bytesOf(3000, 3), 500), new Error("gone"));
    await expect(vault.uploads.append(token, 0, broken, { lastByte: "by-source" })).rejects.toThrow("gone");
    await expect(vault.uploads.finish(token)).rejects.toMatchObject({ code: "UPLOAD_INCOMPLETE" });
  });

  test("refuses an append that is not where it stands, and one beyond its length", async () => {
    const { token } = await vault.begin({ length: 1000, chunkBytes: CHUNK_BYTES });
    const append = (offset: number, length: number) =>
      vault.uploads.append(token, offset, pieces(bytesOf(length, 4), 100), { lastByte: "by-length" });
    await expect(append(1, 10)).rejects.toMatchObject({ code: "OFFSET_MISMATCH" });
    await append(0, 400);
    await expect(append(0, 10)).rejects.toMatchObject({ code: "OFFSET_MISMATCH" });
    await expect(append(400, 601)).rejects.toMatchObject({ code: "LENGTH_EXCEEDED" });
    expect((await vault.uploads.find(token)).offset).toBeLessThanOrEqual(1000);
  });

  test("stops at the largest size allowed", async () => {
    await expect(vault.begin({ length: vault.maxUploadBytes + 1 })).rejects.toMatchObject({
      code: "FILE_TOO_LARGE",
    });
    const { token } = await vault.begin({ length: null });
    const endless = pieces(new Uint8Array(vault.maxUploadBytes + 1), 1024 * 1024);
    await expect(vault.uploads.append(token, 0, endless, { lastByte: "by-source" })).rejects.toMatchObject({
      code: "FILE_TOO_LARGE",
    });
  });

  test.each([0, 1, 1023, -1, 1.5, 2 ** 26 + 1, 2 ** 31, 2 ** 53, Number.NaN])(
    "refuses a chunk size of %d",
    async size => {
      await expect(vault.begin({ chunkBytes: size })).rejects.toMatchObject({
        code: "CHUNK_SIZE_OUT_OF_RANGE",
        facts: { min: 1024, max: 67_108_864 },
      });
    },
  );

  test("may get its password, terms and digest only at the end", async () => {
    const { token } = await vault.begin({ password: null, length: null });
    await vault.uploads.append(token, 0, pieces(bytesOf(10, 5), 3), { lastByte: "by-source" });
    await expect(vault.uploads.finish(token)).rejects.toMatchObject({ code: "MISSING_PASSWORD" });
    await expect(vault.uploads.finish(token, { password: "short" })).rejects.toMatchObject({
      code: "PASSWORD_TOO_SHORT",
    });
    const terms = { expiresInSeconds: 60, maxDownloads: 3 };
    const file = await vault.uploads.finish(token, { password: PASSWORD, sha256: "ab".repeat(32), terms });
    expect(file.maxDownloads).toBe(3);
    expect(file.expiresAt).not.toBeNull();
    const { meta } = await vault.files.unlock(file.hash, PASSWORD, vault.caller);
    expect(meta.sha256).toBe("ab".repeat(32));
  });

  test("cut anew with another chunk size is the same bytes in other chunks", async () => {
    const plain = bytesOf(20_000, 6);
    const { token } = await vault.begin({ password: null, length: null, chunkBytes: 1024 });
    await vault.uploads.append(token, 0, pieces(plain, 5000), { lastByte: "by-source" });
    const again = await recut(
      vault.uploads,
      { token, chunkBytes: 4096 },
      vault.caller,
      new AbortController().signal,
    );
    await expect(vault.uploads.find(token)).rejects.toMatchObject({ code: "NOT_FOUND" });
    const file = await vault.uploads.finish(again, { password: PASSWORD });
    const rows = await vault.chunkMap.chunks(file.id, 0, 100);
    expect(rows.filter(isData).length).toBe(Math.ceil(20_000 / (4096 - 32)));
    expect(await vault.read(file.hash, PASSWORD)).toEqual(plain);
  });

  test("finished twice at once is one file", async () => {
    const { token } = await vault.begin({ length: 3 });
    await vault.uploads.append(token, 0, pieces(bytesOf(3, 7), 3), { lastByte: "by-length" });
    const [one, two] = await Promise.all([vault.uploads.finish(token), vault.uploads.finish(token)]);
    expect(one.hash).toBe(two.hash);
  });

  test("puts the chunks of each stripe into different buckets, also when it is resumed within one", async () => {
    const { token, upload } = await vault.begin({ length: 40 * PLAIN_PER_CHUNK, chunkBytes: CHUNK_BYTES });
    for (let offset = 0; offset < 40 * PLAIN_PER_CHUNK; offset += 2.5 * PLAIN_PER_CHUNK) {
      const part = bytesOf(2.5 * PLAIN_PER_CHUNK, offset);
      await vault.uploads.append(token, offset, pieces(part, 4000), { lastByte: "by-length" });
    }
    const rows = await vault.chunkMap.chunks(upload.id, 0, 100);
    expect(rows.length).toBe(60);
    for (let stripe = 0; stripe < 10; stripe++) {
      const buckets = rows.filter(row => row.stripe === stripe).map(row => row.bucketId);
      expect(new Set(buckets).size).toBe(6);
    }
  });

  test("is taken over by a second writer: the first one is told so, and no byte is mixed", async () => {
    const first = bytesOf(6 * PLAIN_PER_CHUNK, 8);
    const second = bytesOf(6 * PLAIN_PER_CHUNK, 9);
    const { token } = await vault.begin({ length: first.length, chunkBytes: CHUNK_BYTES });
    const stall = Promise.withResolvers<void>();
    const stalled = vault.uploads.append(token, 0, stalling(first, stall.promise), { lastByte: "by-length" });
    const ending = expect(stalled).rejects.toMatchObject({ code: "UPLOAD_TAKEN_OVER" });
    const offset = 3 * PLAIN_PER_CHUNK;
    await vault.reached(token, offset);
    await vault.uploads.append(token, offset, pieces(second.subarray(offset), 999), {
      lastByte: "by-length",
    });
    await ending; // at once: it holds no memory until its client sends or goes
    stall.resolve();
    const file = await vault.uploads.finish(token);
    const expected = Buffer.concat([first.subarray(0, offset), second.subarray(offset)]);
    expect(Buffer.from(await vault.read(file.hash, PASSWORD)).equals(expected)).toBe(true);
  });

  // More than they end with had been sent, and was lost with its sender.
  test.each([
    [1, "a chunk"],
    [3, "chunks of an open stripe"],
    [4, "a stripe"],
    [6, "a stripe and more"],
  ])("whose length turns out to be the %d chunks that are durable ends with them: %s", async chunks => {
    await using vault = await openVault({ parity: "default" });
    const plain = bytesOf(chunks * PLAIN_PER_CHUNK, chunks);
    const { token } = await vault.begin({ length: null, chunkBytes: CHUNK_BYTES });
    const stall = Promise.withResolvers<void>();
    const more = Buffer.concat([plain, bytesOf(plain.length + 8, 1)]);
    const sender = vault.uploads.append(token, 0, stalling(more, stall.promise), { lastByte: "by-length" });
    const ending = expect(sender).rejects.toMatchObject({ code: "UPLOAD_TAKEN_OVER" });
    await vault.reached(token, plain.length);
    expect((await vault.uploads.find(token)).tail).toBeNull();
    // As often as an answer is lost, and by others at once.
    await Promise.allSettled([1, 2, 3].map(() => vault.uploads.declareLength(token, plain.length)));
    await vault.uploads.declareLength(token, plain.length);
    await expect(vault.uploads.finish(token)).rejects.toMatchObject({ code: "UPLOAD_INCOMPLETE" });
    const nothing = pieces(new Uint8Array(), 1);
    await vault.uploads.append(token, plain.length, nothing, { lastByte: "by-length" });
    stall.resolve();
    await ending;
    const file = await vault.uploads.finish(token);
    expect(await vault.read(file.hash, PASSWORD)).toEqual(plain);
    await vault.sweep();
    const rows = await vault.chunkMap.chunks(file.id, 0, chunks);
    const named = [...rows.map(row => row.objectKey), ...(await vault.manifestObjects(file.id))];
    expect((await vault.objects()).sort()).toEqual(named.sort());
  });

  test("whose other writer finishes first tells the loser that it lost, not that there is no upload", async () => {
    const { token } = await vault.begin({ length: 100, chunkBytes: CHUNK_BYTES });
    const write = (seed: number) =>
      vault.uploads.append(token, 0, pieces(bytesOf(100, seed), 50), { lastByte: "by-length" });
    const { lease } = UploadRows.prototype;
    // The first writer has just got its lease, when the second does all it has to do.
    const spy = jest.spyOn(UploadRows.prototype, "lease").mockImplementationOnce(async function (
      this: UploadRows,
      ...args
    ) {
      const leased = await lease.apply(this, args);
      await write(2);
      await vault.uploads.finish(token);
      return leased;
    });
    await expect(write(1)).rejects.toMatchObject({ code: "UPLOAD_TAKEN_OVER" });
    spy.mockRestore();
  });

  test("whose client leaves while its last bytes wait for memory has not got them, and goes on later", async () => {
    await using small = await openVault({ memoryBytes: 64 * 1024, parity: "default" });
    const giveBack = await small.holdMemory(small.budget.total);
    const plain = bytesOf(100, 20);
    const { token } = await small.begin({ length: 100, chunkBytes: CHUNK_BYTES });
    const gone = new AbortController();
    const waiting = small.uploads.append(token, 0, pieces(plain, 100), {
      lastByte: "by-length",
      signal: gone.signal,
    });
    const ending = expect(waiting).rejects.toThrow("gone");
    while (small.budget.waiting === 0) await new Promise(resolve => setTimeout(resolve, 5));
    gone.abort(new Error("gone"));
    await ending;
    giveBack();
    expect((await small.uploads.find(token)).offset).toBe(0);
    await small.uploads.append(token, 0, pieces(plain, 100), { lastByte: "by-length" });
    const file = await small.uploads.finish(token);
    expect(await small.read(file.hash, PASSWORD)).toEqual(plain);
  });

  test("in many small appends costs at most one tail each, beside its chunks, and leaves none", async () => {
    await using small = await openVault({ parity: "default" });
    const [appends, bytes] = [20, 64 * 1024];
    const { token } = await small.begin({ length: appends * bytes, chunkBytes: 1024 * 1024 });
    for (let i = 0; i < appends; i++) {
      await small.uploads.append(token, i * bytes, pieces(bytesOf(bytes, i), bytes), {
        lastByte: "by-length",
      });
    }
    const chunks = Math.ceil((appends * bytes) / (1024 * 1024 - 4 * 32));
    const parity = 2;
    expect(small.calls("put")).toBeLessThanOrEqual(appends + chunks + parity);
    const file = await small.uploads.finish(token);
    await small.sweep();
    const manifest = await small.manifestObjects(file.id);
    expect((await small.objects()).length).toBe(chunks + parity + manifest.length);
  });

  test("never uses one nonce twice under one key, however often it is resumed", async () => {
    const nonces = vault.countNonces();
    const { token } = await vault.begin({ length: 8000, chunkBytes: CHUNK_BYTES });
    for (let offset = 0; offset < 8000; offset += 100) {
      await vault.uploads.append(token, offset, pieces(bytesOf(100, offset), 33), { lastByte: "by-length" });
    }
    expect(nonces.seen).toBeGreaterThan(80);
    expect(nonces.repeated).toEqual([]);
  });
});

describe("a bucket that fails", () => {
  test("is gone around: the chunk lands elsewhere", async () => {
    await using broken = await openVault({ parity: "default" });
    broken.faulty[0]?.fail("put");
    broken.faulty[1]?.fail("put");
    const plain = bytesOf(12 * PLAIN_PER_CHUNK, 10);
    const file = await broken.store(plain, { chunkBytes: CHUNK_BYTES });
    expect(await broken.read(file.hash, PASSWORD)).toEqual(plain);
  });

  test("all of them: the upload says STORAGE_UNAVAILABLE, keeps what was durable, and goes on when they are back", async () => {
    await using broken = await openVault({ parity: "default" });
    const plain = bytesOf(12 * PLAIN_PER_CHUNK, 11);
    const { token } = await broken.begin({ length: plain.length, chunkBytes: CHUNK_BYTES });
    const half = 6 * PLAIN_PER_CHUNK;
    await broken.uploads.append(token, 0, pieces(plain.subarray(0, half), 4000), { lastByte: "by-length" });
    for (const bucket of broken.faulty) bucket.fail("put");
    const rest = () =>
      broken.uploads.append(token, half, pieces(plain.subarray(half), 4000), { lastByte: "by-length" });
    await expect(rest()).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    expect((await broken.uploads.find(token)).offset).toBe(half);
    for (const bucket of broken.faulty) bucket.heal();
    await rest();
    const file = await broken.uploads.finish(token);
    expect(await broken.read(file.hash, PASSWORD)).toEqual(plain);
  });

  test("full ones are STORAGE_FULL", async () => {
    await using full = await openVault({ parity: "default" });
    for (const bucket of full.faulty) bucket.fail("put", { failure: "full" });
    await expect(full.store(bytesOf(10, 12))).rejects.toMatchObject({ code: "STORAGE_FULL" });
  });
});

describe("the sweep", () => {
  test("leaves nothing of abandoned, expired and broken uploads, and everything of files", async () => {
    await using swept = await openVault({ parity: "default" });
    const kept = await swept.store(bytesOf(5000, 13), { chunkBytes: CHUNK_BYTES });
    const abandoned = await swept.begin({ length: 9000, chunkBytes: CHUNK_BYTES });
    await swept.uploads.append(abandoned.token, 0, pieces(bytesOf(5000, 14), 900), { lastByte: "by-length" });
    await swept.uploads.abandon(abandoned.token);
    swept.faulty[2]?.fail("put");
    const other = await swept.begin({ length: 9000, chunkBytes: CHUNK_BYTES });
    await swept.uploads.append(other.token, 0, pieces(bytesOf(5000, 15), 900), { lastByte: "by-length" });
    await swept.expire(other.upload.id);
    await swept.sweep();
    const named = (await swept.chunkMap.chunks(kept.id, 0, 100)).map(row => row.objectKey);
    named.push(...(await swept.manifestObjects(kept.id)));
    expect((await swept.objects()).sort()).toEqual(named.sort());
    await expect(swept.uploads.find(other.token)).rejects.toMatchObject({ code: "UPLOAD_EXPIRED" });
    expect((await swept.read(kept.hash, PASSWORD)).length).toBe(5000);
  });

  test("deletes a file's objects after it was deleted, and its password opens nothing from that moment", async () => {
    await using swept = await openVault({ parity: "default" });
    const file = await swept.store(bytesOf(5000, 16), { chunkBytes: CHUNK_BYTES });
    await swept.files.delete(file.hash, PASSWORD, swept.caller);
    await expect(swept.read(file.hash, PASSWORD)).rejects.toMatchObject({ code: "FILE_GONE" });
    await swept.sweep();
    expect(await swept.objects()).toEqual([]);
  });

  test("asks a bucket that does not delete no more, deletes what lies in the others, and tries again the next time", async () => {
    await using swept = await openVault({ parity: "default" });
    const file = await swept.store(bytesOf(300 * CHUNK_BYTES, 18), { chunkBytes: CHUNK_BYTES });
    await swept.files.delete(file.hash, PASSWORD, swept.caller);
    const [dead, ...others] = swept.faulty;
    const left = await dead?.list();
    dead?.fail("delete");
    const { objectsLeft } = await swept.sweep(); // names that were reserved and not needed among them
    expect(objectsLeft).toBeGreaterThanOrEqual(left?.length ?? Infinity);
    expect(left?.length).toBeGreaterThan(50);
    expect(dead?.calls.delete).toBeLessThanOrEqual(AT_ONCE);
    expect((await Promise.all(others.map(bucket => bucket.list()))).flat()).toEqual([]);
    dead?.heal();
    await swept.letTimePass();
    await swept.sweep();
    expect(await swept.objects()).toEqual([]);
  });

  test("leaves to the next what it has no time for", async () => {
    await using swept = await openVault();
    const [bucket] = swept.buckets.all;
    await swept.sql(
      `insert into dead_objects (bucket_id, object_key)
       select ${bucket?.id}, gen_random_uuid() from generate_series(1, 1200)`,
    );
    const counts = [];
    for (let i = 0; i < 3; i++) counts.push((await sweep(swept.sweepable, undefined, 0)).objects);
    expect(counts).toEqual([500, 500, 200]);
  });

  test("never deletes an object that the database does not know", async () => {
    await using swept = await openVault({ parity: "default" });
    await swept.faulty[0]?.put("ab".repeat(16), bytesOf(10, 17));
    await swept.sweep();
    expect(await swept.objects()).toEqual(["ab".repeat(16)]);
  });
});

const isData = ({ shard }: ChunkRecord) => shard < 4;

async function* breaking(source: AsyncIterable<Uint8Array>, error: Error): AsyncGenerator<Uint8Array> {
  yield* source;
  throw error;
}

/** Gives half of the bytes, then waits, then gives the rest. */
async function* stalling(plain: Uint8Array, until: Promise<void>): AsyncGenerator<Uint8Array> {
  yield* pieces(plain.subarray(0, plain.length / 2), 500);
  await until;
  yield* pieces(plain.subarray(plain.length / 2), 500);
}
