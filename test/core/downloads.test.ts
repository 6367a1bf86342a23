import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { StoredFile } from "../../src/core/model.js";
import { newObjectKey } from "../../src/core/scatter.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, collect, openVault } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const PLAIN_PER_CHUNK = CHUNK_BYTES - 32;
const PASSWORD = "correct horse";

let vault: Vault;
beforeAll(async () => {
  vault = await openVault(); // without parity: what that heals is in parity.test.ts
});
afterAll(() => vault.close());

describe("a range", () => {
  test("of any file is exactly those bytes", async () => {
    const plain = bytesOf(9 * PLAIN_PER_CHUNK + 5, 1);
    const file = await vault.store(plain, { chunkBytes: CHUNK_BYTES });
    await fc.assert(
      fc.asyncProperty(fc.nat(plain.length), fc.nat(plain.length), async (a, b) => {
        const range = { start: Math.min(a, b), end: Math.max(a, b) };
        expect(await vault.read(file.hash, PASSWORD, range)).toEqual(plain.subarray(range.start, range.end));
      }),
      { numRuns: 40 },
    );
  });

  test("fetches only the segments it needs", async () => {
    const plain = bytesOf(2 * 1024 * 1024, 2);
    const file = await vault.store(plain, { chunkBytes: 1024 * 1024 });
    const before = vault.calls("get");
    await vault.read(file.hash, PASSWORD, { start: 300_000, end: 300_001 });
    expect(vault.calls("get") - before).toBe(1);
  });
});

test("a chunk that moves after its row was read is read where it lies now", async () => {
  const plain = bytesOf(40 * PLAIN_PER_CHUNK, 12);
  const file = await vault.store(plain, { chunkBytes: CHUNK_BYTES });
  const stream = await vault.open(await vault.link(file.hash, PASSWORD, {}));
  const first = Buffer.from((await stream.next()).value ?? []); // a copy: pieces are lent
  for (const row of (await vault.chunkMap.chunks(file.id, 0, 100)).slice(-8)) {
    const [object, objectKey] = [await vault.object(row), newObjectKey()];
    await vault.buckets.port(row.bucketId).put(objectKey, object);
    await vault.sql("update chunks set object_key = $1 where object_key = $2", [objectKey, row.objectKey]);
    await vault.replace(row, null);
  }
  expect(Buffer.concat([first, await collect(stream)])).toEqual(Buffer.from(plain));
});

describe("a stored file whose objects were touched", () => {
  /** Downloads and says what came before the failure. */
  async function damaged(file: StoredFile, plain: Uint8Array): Promise<void> {
    const received: Uint8Array[] = [];
    const reading = vault.stream(file.hash, PASSWORD, received);
    await expect(reading).rejects.toMatchObject({ code: "FILE_UNAVAILABLE" });
    const got = Buffer.concat(received);
    expect(got.length).toBeLessThan(plain.length);
    expect(got.equals(plain.subarray(0, got.length))).toBe(true);
  }

  test("fails before a wrong byte whichever byte of whichever object is flipped", async () => {
    const plain = bytesOf(3 * PLAIN_PER_CHUNK + 10, 3);
    const file = await vault.store(plain, { chunkBytes: CHUNK_BYTES });
    for (const row of await vault.chunkMap.chunks(file.id, 0, 100)) {
      const object = await vault.object(row);
      for (let at = 0; at < object.length; at += 97) {
        await vault.replace(row, object.with(at, (object[at] ?? 0) ^ (1 << (at % 8))));
        await damaged(file, plain);
      }
      await vault.replace(row, object);
    }
    expect(await vault.read(file.hash, PASSWORD)).toEqual(plain);
  });

  test("fails when an object is missing, truncated, extended, or another file's", async () => {
    const plain = bytesOf(3 * PLAIN_PER_CHUNK + 10, 4);
    const file = await vault.store(plain, { chunkBytes: CHUNK_BYTES });
    const other = await vault.store(plain, { chunkBytes: CHUNK_BYTES });
    const theirs = await vault.chunkMap.chunks(other.id, 0, 100);
    for (const [index, row] of (await vault.chunkMap.chunks(file.id, 0, 100)).entries()) {
      const object = await vault.object(row);
      const foreign = theirs[index];
      if (!foreign) throw new Error("both files have the same number of chunks");
      const corruptions = [
        null,
        new Uint8Array(),
        object.subarray(0, -1),
        Buffer.concat([object, Buffer.alloc(1)]),
      ];
      for (const bytes of [...corruptions, await vault.object(foreign)]) {
        await vault.replace(row, bytes);
        await damaged(file, plain);
      }
      await vault.replace(row, object);
    }
  });

  test("fails when an object was cut exactly at the border of a segment", async () => {
    const plain = bytesOf(2_500_000, 16);
    const file = await vault.store(plain, { chunkBytes: 1024 * 1024 });
    const [row] = await vault.chunkMap.chunks(file.id, 0, 0);
    if (!row) throw new Error("a chunk expected");
    await vault.replace(row, (await vault.object(row)).subarray(0, 3 * 256 * 1024));
    await damaged(file, plain);
  });

  test("fails when two of its objects are swapped", async () => {
    const plain = bytesOf(3 * PLAIN_PER_CHUNK, 5);
    const file = await vault.store(plain, { chunkBytes: CHUNK_BYTES });
    const [one, two] = await vault.chunkMap.chunks(file.id, 0, 100);
    if (!one || !two) throw new Error("three chunks expected");
    const [first, second] = [await vault.object(one), await vault.object(two)];
    await vault.replace(one, second);
    await vault.replace(two, first);
    await damaged(file, plain);
  });
});

describe("a link", () => {
  test("counts a use at byte 0, lets ranges continue it until its last byte, and then is over", async () => {
    const plain = bytesOf(5000, 6);
    const file = await vault.store(plain);
    const token = await vault.link(file.hash, PASSWORD, { maxUses: 1 });
    const part = await vault.take(token, { start: 0, end: 100 });
    const rest = await vault.take(token, { start: 100, end: 5000 });
    expect(Buffer.concat([part, rest]).equals(plain)).toBe(true);
    await expect(vault.take(token, { start: 0, end: 100 })).rejects.toMatchObject({ code: "LINK_EXPIRED" });
    await expect(vault.take(token, { start: 1, end: 5000 })).rejects.toMatchObject({ code: "LINK_EXPIRED" });
  });

  test("does not give the file but for its first byte without a use", async () => {
    const file = await vault.store(bytesOf(5000, 7));
    const token = await vault.link(file.hash, PASSWORD, { maxUses: 1 });
    await vault.take(token, { start: 1, end: 5000 });
    await expect(vault.take(token, { start: 0, end: 5000 })).rejects.toMatchObject({ code: "LINK_EXPIRED" });
  });

  test("whose row was given a longer life in the database is not believed", async () => {
    const file = await vault.store(bytesOf(10, 8));
    const token = await vault.link(file.hash, PASSWORD, { maxUses: 1 });
    await vault.sql("UPDATE grants SET max_uses = 1000 WHERE kind = 'link' AND file_id = ?", [file.id]);
    await expect(vault.take(token, { start: 0, end: 10 })).rejects.toMatchObject({ code: "LINK_EXPIRED" });
  });

  test("is over after its time by the database's clock", async () => {
    const file = await vault.store(bytesOf(10, 9));
    const token = await vault.link(file.hash, PASSWORD, { expiresInSeconds: 1 });
    await vault.take(token, { start: 0, end: 10 });
    await sleep(2100); // whole seconds, rounded up
    await expect(vault.take(token, { start: 0, end: 10 })).rejects.toMatchObject({ code: "LINK_EXPIRED" });
  });

  test("of a file with one download left: exactly one of many at once succeeds, and then the file is gone", async () => {
    const plain = bytesOf(3000, 10);
    const file = await vault.store(plain, { terms: { expiresInSeconds: null, maxDownloads: 1 } });
    const tokens = await Promise.all(Array.from({ length: 8 }, () => vault.link(file.hash, PASSWORD, {})));
    const results = await Promise.allSettled(tokens.map(token => vault.take(token, { start: 0, end: 3000 })));
    expect(results.filter(result => result.status === "fulfilled").length).toBe(1);
    await expect(vault.read(file.hash, PASSWORD)).rejects.toMatchObject({ code: "FILE_GONE" });
  });
});

describe("a password", () => {
  test("that is wrong is told apart from a file that is not there", async () => {
    const file = await vault.store(bytesOf(10, 11));
    await expect(vault.read(file.hash, "wrong horse")).rejects.toMatchObject({ code: "WRONG_PASSWORD" });
    await expect(vault.read("0".repeat(64), PASSWORD)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(vault.read("nonsense", PASSWORD)).rejects.toMatchObject({ code: "INVALID_HASH" });
  });

  test("is the same however its letters are composed", async () => {
    const file = await vault.store(bytesOf(10, 12), { password: "pass\u00e9 compos\u00e9" });
    expect((await vault.read(file.hash, "passe\u0301 compose\u0301")).length).toBe(10);
  });

  test("guessed wrong ten times is not tried again, while the right one never uses up a try", async () => {
    const file = await vault.store(bytesOf(10, 13));
    for (let i = 0; i < 15; i++) await vault.read(file.hash, PASSWORD);
    const tries = await Promise.allSettled(
      Array.from({ length: 25 }, (_, i) => vault.read(file.hash, `wrong ${i} horse`)),
    );
    const codes = tries.map(t => (t.status === "rejected" ? t.reason.code : "right"));
    expect(codes.filter(code => code === "WRONG_PASSWORD").length).toBe(10);
    expect(codes.filter(code => code === "TOO_MANY_ATTEMPTS").length).toBe(15);
  });
});

test.each([0, 1, 2])(
  "a download that the client leaves after %d pieces gives its memory back",
  async pieces => {
    const file = await vault.store(bytesOf(4 * 1024 * 1024, 14));
    const link = await vault.downloads.describe(await vault.link(file.hash, PASSWORD, {}), vault.caller);
    const { signal } = new AbortController();
    const stream = await vault.downloads.start(
      link,
      { start: 0, end: 4 * 1024 * 1024 },
      { signal, onReclaim: () => {} },
    );
    for (let i = 0; i < pieces; i++) await stream.next();
    await stream.return();
    expect(vault.budget.free).toBe(vault.budget.total);
  },
);

test("a file that cannot be read costs its link no use", async () => {
  const file = await vault.store(bytesOf(1000, 17));
  const token = await vault.link(file.hash, PASSWORD, { maxUses: 1 });
  const [row] = await vault.chunkMap.chunks(file.id, 0, 0);
  if (!row) throw new Error("a chunk expected");
  const object = await vault.object(row);
  await vault.replace(row, null);
  await expect(vault.take(token, { start: 0, end: 1000 })).rejects.toMatchObject({
    code: "FILE_UNAVAILABLE",
  });
  await vault.replace(row, object);
  expect((await vault.take(token, { start: 0, end: 1000 })).length).toBe(1000);
});

test("a reader that takes nothing is told of while another waits for memory, and then no longer holds any", async () => {
  await using small = await openVault({ memoryBytes: 1024 * 1024, idleGraceMs: 50 });
  const file = await small.store(bytesOf(3 * 1024 * 1024, 18));
  const link = await small.downloads.describe(await small.link(file.hash, PASSWORD, {}), small.caller);
  const range = { start: 0, end: 3 * 1024 * 1024 };
  const { signal } = new AbortController();
  const told = Promise.withResolvers<string>();
  const stalled = await small.downloads.start(link, range, {
    signal,
    onReclaim: why => told.resolve(why.code),
  });
  await stalled.next();
  const other = small.read(file.hash, PASSWORD);
  expect(await told.promise).toBe("SLOW_CLIENT");
  await stalled.return();
  expect((await other).length).toBe(3 * 1024 * 1024);
});

test("many downloads at once are all right, with memory for one", async () => {
  await using small = await openVault({ memoryBytes: 2 * 1024 * 1024 });
  const plain = bytesOf(3 * 1024 * 1024, 15);
  const file = await small.store(plain);
  const all = await Promise.all(Array.from({ length: 6 }, () => small.read(file.hash, PASSWORD)));
  for (const bytes of all) expect(Buffer.compare(bytes, plain)).toBe(0);
  expect(small.budget.free).toBe(small.budget.total);
  expect((await collect(await small.open(await small.link(file.hash, PASSWORD, {})))).length).toBe(
    plain.length,
  );
});
