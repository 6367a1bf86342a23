import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import type { Drained } from "../../src/core/drain.js";
import { nothing } from "../../src/core/drain.js";
import type { StoredFile } from "../../src/core/model.js";
import { FileRows } from "../../src/database/file-store.js";
import { dyingDeps } from "../support/dying.js";
import { recoverFrom } from "../support/recovered.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, collect, openVault, pieces } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const PLAIN_PER_CHUNK = CHUNK_BYTES - 32;
const PASSWORD = "correct horse";
const EMPTY = {
  chunkCount: 0,
  storedBytes: 0,
  manifestCount: 0,
  tailCount: 0,
  reservedCount: 0,
  deadCount: 0,
};

let vault: Vault;
let ids: number[];
afterEach(() => vault.close());

async function open(bucketCount: number, parity: "none" | "default" = "none"): Promise<void> {
  vault = await openVault({ bucketCount, parity });
  ids = (await vault.steering.list()).map(({ id }) => id);
}

const bucketId = (index: number) => ids[index] ?? 0;
const bucketAt = (index: number) => vault.faulty[index] ?? raise();
const setState = (index: number, state: "active" | "read_only" | "draining" | "disabled") =>
  vault.steering.change(bucketId(index), { state });
const contents = (index: number) => vault.bucketDirectory.contents(bucketId(index));
const plainOf = (chunks: number) => bytesOf(chunks * PLAIN_PER_CHUNK - 7, chunks);
const store = (chunks: number) => vault.store(plainOf(chunks), { chunkBytes: CHUNK_BYTES });
const rowsOf = ({ id }: Pick<StoredFile, "id">) => vault.chunkMap.chunks(id, 0, 10_000);

async function expectReadable(file: StoredFile, chunks: number): Promise<void> {
  expect(await vault.read(file.hash, PASSWORD)).toEqual(plainOf(chunks));
}

async function expectSpread(file: StoredFile): Promise<void> {
  const stripes = new Map<number, number[]>();
  for (const { stripe, bucketId: at } of await rowsOf(file))
    stripes.set(stripe, [...(stripes.get(stripe) ?? []), at]);
  for (const buckets of stripes.values()) expect(new Set(buckets).size).toBe(buckets.length);
}

function raise(): never {
  throw new Error("there is none");
}

/** Everything in every bucket is what some row names, of a chunk or of a manifest. */
async function expectNothingLeft(...files: readonly StoredFile[]): Promise<void> {
  await vault.sql(
    "update pending_objects set held_until = now() - interval '1 second' where held_until > now()",
  );
  await vault.manifests.refreshStale();
  await vault.sweep();
  const chunks = (await Promise.all(files.map(rowsOf))).flat().map(row => row.objectKey);
  const manifests = (await Promise.all(files.map(({ id }) => vault.manifestObjects(id)))).flat();
  expect((await vault.objects()).sort()).toEqual([...chunks, ...manifests].sort());
}

describe("over six buckets", () => {
  beforeEach(() => open(6));

  test("a drained bucket is empty, its files are byte-equal, and it can be disabled", async () => {
    const files = [await store(1), await store(5), await store(70)];
    await setState(0, "draining");
    const { chunkCount, manifestCount } = await contents(0);
    expect(await vault.drain()).toMatchObject({ moved: chunkCount, unplaced: 0, overtaken: 0 });
    expect(await contents(0)).toEqual({ ...EMPTY, deadCount: chunkCount + manifestCount });
    expect(await setState(0, "disabled")).toMatchObject({ state: "disabled" });
    await expectNothingLeft(...files);
    expect(await bucketAt(0).list()).toEqual([]);
    await expectReadable(files[2] as StoredFile, 70);
    for (const file of files) await expectSpread(file);
  });

  test("what is moved while an upload becomes a file is found without the database, too", async () => {
    const { finish } = FileRows.prototype;
    // Its manifest is written by now.
    jest.spyOn(FileRows.prototype, "finish").mockImplementationOnce(async function (this: FileRows, what) {
      await setState(0, "draining");
      expect((await vault.drain()).moved).toBeGreaterThan(0);
      await setState(0, "active");
      return finish.call(this, what);
    });
    const file = await store(30);
    expect(await vault.sql("select from manifests where written_revision < revision")).toEqual([]);
    await expectNothingLeft(file);
    const { read } = await recoverFrom(vault.faulty, file.hash, PASSWORD);
    expect(await read()).toEqual(plainOf(30));
  });

  test("two buckets drained by three workers at once end empty", async () => {
    const files = [await store(60), await store(61), await store(62)];
    for (const index of [0, 1]) await setState(index, "draining");
    for (let left = 1; left > 0; ) {
      const drained = await Promise.all([vault.drain(), vault.drain(), vault.drain()]);
      for (const { missing, corrupt, unreadable, unplaced } of drained)
        expect(missing + corrupt + unreadable + unplaced).toBe(0);
      left = (await contents(0)).chunkCount + (await contents(1)).chunkCount;
    }
    for (const [i, file] of files.entries()) await expectReadable(file, 60 + i);
    await expectNothingLeft(...files);
  });

  test("a bucket is emptied while uploads and downloads go on, and none of them notices", async () => {
    const old = await store(40);
    let isOver = false;
    const uploads = Array.from({ length: 4 }, async (_, i) => {
      const { token } = await vault.begin({ length: plainOf(30 + i).length, chunkBytes: CHUNK_BYTES });
      await vault.uploads.append(token, 0, pieces(plainOf(30 + i), 777), { lastByte: "by-length" });
      return vault.uploads.finish(token);
    });
    const downloads = Array.from({ length: 2 }, async () => {
      const token = await vault.link(old.hash, PASSWORD, {});
      while (!isOver) expect(await vault.take(token, { start: 0, end: old.plainBytes })).toEqual(plainOf(40));
    });
    await setState(2, "draining");
    const draining = (async () => {
      while (!isOver) {
        await vault.drain();
        await vault.sweep();
        await sleep(50); // the uploads are to have their turn
      }
    })();
    const files = await Promise.all(uploads);
    isOver = true;
    await Promise.all([draining, ...downloads]);
    await vault.drain();
    expect(await contents(2)).toMatchObject({ chunkCount: 0, tailCount: 0 });
    for (const [i, file] of files.entries()) await expectReadable(file, 30 + i);
    await expectNothingLeft(old, ...files);
    expect(await bucketAt(2).list()).toEqual([]);
  });

  test("a download that began before reads on after everything has moved and was swept", async () => {
    const file = await store(100);
    const stream = await vault.open(await vault.link(file.hash, PASSWORD, {}));
    const first = (await stream.next()).value?.slice() ?? raise(); // it is lent
    for (const index of [0, 1]) await setState(index, "draining");
    await vault.drain();
    await vault.sweep();
    expect(new Uint8Array(Buffer.concat([first, await collect(stream)]))).toEqual(plainOf(100));
  });

  test("the old objects are kept for those who have read their rows", async () => {
    const file = await store(30);
    await setState(0, "draining");
    const old = (await rowsOf(file)).filter(row => row.bucketId === bucketId(0)).map(row => row.objectKey);
    await vault.drain({ keepSeconds: 60 });
    await vault.sweep();
    expect(await bucketAt(0).list()).toEqual(old.sort());
    await vault.sql("update dead_objects set claimed_until = claimed_until - interval '61 seconds'");
    await expectNothingLeft(file);
  });

  test("no file that was deleted meanwhile comes back, and nothing of it stays", async () => {
    const files = await Promise.all(Array.from({ length: 5 }, () => store(40)));
    await setState(0, "draining");
    const deletions = files.map(file => vault.files.delete(file.hash, null, vault.caller));
    await Promise.all([vault.drain(), ...deletions, vault.drain()]);
    await expectNothingLeft();
  });

  test("time that is up leaves the rest for the next time", async () => {
    await store(60);
    await setState(0, "draining");
    expect((await vault.drain({ timeMs: 0 })).moved).toBe(0);
    const { chunkCount } = await contents(0);
    expect((await vault.drain()).moved).toBe(chunkCount);
  });

  test("memory is given back, also with less of it than one chunk takes", async () => {
    await vault.close();
    vault = await openVault({ memoryBytes: 600 });
    ids = (await vault.steering.list()).map(({ id }) => id);
    await store(12);
    await setState(0, "draining");
    await vault.drain();
    expect((await contents(0)).chunkCount).toBe(0);
    expect(vault.budget.free).toBe(vault.budget.total);
  });
});

test("with parity a drained bucket ends empty, and any two others may be lost afterwards", async () => {
  await open(7, "default"); // stripes of four and two
  const files = [await store(1), await store(6), await store(41)];
  await setState(0, "draining");
  const { chunkCount, manifestCount } = await contents(0);
  expect(chunkCount).toBeGreaterThan(0);
  expect(await vault.drain()).toMatchObject({ moved: chunkCount, unplaced: 0 });
  expect(await contents(0)).toEqual({ ...EMPTY, deadCount: chunkCount + manifestCount });
  await expectNothingLeft(...files);
  expect(await bucketAt(0).list()).toEqual([]);
  for (const file of files) await expectSpread(file);
  const chunks = [1, 6, 41];
  for (const [i, file] of files.entries()) await expectReadable(file, chunks[i] ?? 0);
  for (const index of [0, 1, 2]) bucketAt(index).fail("get");
  for (const [i, file] of files.entries()) await expectReadable(file, chunks[i] ?? 0);
});

describe("what cannot be moved", () => {
  beforeEach(() => open(4)); // stripes of two

  async function drained(): Promise<Partial<Drained>> {
    const all = await vault.drain();
    return Object.fromEntries(
      Object.entries(all).filter(([name, count]) => count > 0 && name !== "movedBytes"),
    );
  }

  /** A file of one stripe, in the buckets 0 and 1. Its profile is that of four buckets. */
  async function storeInFirstTwo(): Promise<StoredFile> {
    const { token } = await vault.begin({ length: plainOf(2).length, chunkBytes: CHUNK_BYTES });
    for (const index of [2, 3]) await setState(index, "read_only");
    await vault.uploads.append(token, 0, pieces(plainOf(2), 500), { lastByte: "by-length" });
    const file = await vault.uploads.finish(token);
    await setState(0, "draining");
    return file;
  }

  test("for want of another bucket stays, is told of, and moves when there is one", async () => {
    const file = await storeInFirstTwo();
    const gets = vault.calls("get");
    expect(await drained()).toEqual({ unplaced: 1 });
    expect(vault.calls("get")).toBe(gets);
    await expectReadable(file, 2);
    await setState(2, "active");
    expect(await drained()).toEqual({ moved: 1 });
    await expectNothingLeft(file);
  });

  test.each(["missing", "corrupt"] as const)(
    "because it is %s stays, is marked, and moves once it is well",
    async state => {
      const file = await storeInFirstTwo();
      await setState(2, "active");
      const [row = raise()] = (await rowsOf(file)).filter(one => one.bucketId === bucketId(0));
      const object = await vault.object(row);
      await vault.replace(row, state === "missing" ? null : object.with(5, 1));
      expect(await drained()).toEqual({ [state]: 1 });
      expect(await vault.chunkStates(file.id)).toContainEqual([row.shard, state]);
      expect((await rowsOf(file)).map(({ objectKey }) => objectKey)).toContain(row.objectKey);
      await vault.replace(row, object);
      expect(await drained()).toEqual({ moved: 1 });
      expect(await vault.chunkStates(file.id)).toEqual([
        [0, "stored"],
        [1, "stored"],
      ]);
      await expectReadable(file, 2);
    },
  );

  test("because its bucket does not answer is tried again the next time, and not for ever this time", async () => {
    await store(200);
    await setState(0, "draining");
    const { chunkCount } = await contents(0);
    bucketAt(0).fail("get");
    const { unreadable = 0 } = await drained();
    expect(unreadable).toBeGreaterThanOrEqual(16);
    expect(unreadable).toBeLessThan(chunkCount);
    bucketAt(0).heal();
    expect(await drained()).toEqual({ moved: chunkCount });
  });

  test("to a bucket that fails goes to another", async () => {
    const file = await store(30);
    await setState(0, "draining");
    bucketAt(1).fail("put");
    await vault.drain();
    await vault.drain(); // a chunk beside three others of its stripe had only that one
    bucketAt(1).heal();
    await vault.drain();
    expect((await contents(0)).chunkCount).toBe(0);
    await expectReadable(file, 30);
    await expectNothingLeft(file);
  });
});

describe("an open upload", () => {
  beforeEach(() => open(6)); // stripes of four

  const begin = (chunks: number) => vault.begin({ length: plainOf(chunks).length, chunkBytes: CHUNK_BYTES });

  async function appendTo(token: string, chunks: number, from: number, to: number): Promise<number> {
    const part = plainOf(chunks).subarray(from, to);
    return vault.uploads.append(token, from, pieces(part, 500), { lastByte: "by-length" });
  }

  /** Drains the first bucket that holds one of the rows. */
  async function drainWhere(isWanted: (row: { stripe: number; bucketId: number }) => boolean, id: string) {
    const [row = raise()] = (await rowsOf({ id })).filter(isWanted);
    const index = ids.indexOf(row.bucketId);
    await setState(index, "draining");
    return index;
  }

  test("has its full stripes moved, and the one it is filling only when nobody has written for long", async () => {
    const { token, upload } = await begin(12);
    const offset = await appendTo(token, 12, 0, 5 * PLAIN_PER_CHUNK + 100);
    const index = await drainWhere(({ stripe }) => stripe === 1, upload.id);
    await vault.drain();
    const left = (await rowsOf(upload)).filter(row => row.bucketId === bucketId(index));
    expect(left.map(row => row.stripe)).toEqual([1]);
    await vault.drain({ idleSeconds: 0 });
    expect(await contents(index)).toMatchObject({ chunkCount: 0, tailCount: 0, reservedCount: 0 });
    expect(await setState(index, "disabled")).toMatchObject({ state: "disabled" });
    expect(await appendTo(token, 12, offset, plainOf(12).length)).toBe(plainOf(12).length);
    const file = await vault.uploads.finish(token);
    await expectReadable(file, 12);
    await expectNothingLeft(file);
  });

  test("has its tail moved, and goes on from there", async () => {
    const { token } = await begin(3);
    const offset = await appendTo(token, 3, 0, 300);
    const { tail } = await vault.uploads.find(token);
    const index = ids.indexOf(tail?.bucketId ?? 0);
    await setState(index, "draining");
    expect(await vault.drain()).toMatchObject({ moved: 1 });
    await vault.sweep();
    expect(await bucketAt(index).list()).toEqual([]);
    await appendTo(token, 3, offset, plainOf(3).length);
    const file = await vault.uploads.finish(token);
    await expectReadable(file, 3);
    await expectNothingLeft(file);
  });

  test("is not disturbed while its writer is slow: whatever has moved, each of its commits holds", async () => {
    const { token, upload } = await begin(40);
    async function* slow() {
      for (let at = 0; at < 40; at += 9) {
        yield plainOf(40).subarray(at * PLAIN_PER_CHUNK, (at + 9) * PLAIN_PER_CHUNK);
        await vault.settled();
        if (at === 9) await drainWhere(() => true, upload.id);
        await vault.drain();
      }
    }
    await vault.uploads.append(token, 0, slow(), { lastByte: "by-length" });
    expect((await vault.uploads.find(token)).lease).toBe(1);
    const file = await vault.uploads.finish(token);
    await expectReadable(file, 40);
    await vault.drain();
    await expectNothingLeft(file);
  });

  test("taken for dead by a drain: its old writer is told so, and a new one goes on", async () => {
    const { token, upload } = await begin(20);
    async function* stalled() {
      yield plainOf(20).subarray(0, 6 * PLAIN_PER_CHUNK + 100);
      await vault.reached(token, 6 * PLAIN_PER_CHUNK);
      await drainWhere(({ stripe }) => stripe === 1, upload.id);
      await vault.drain({ idleSeconds: 0 });
      yield plainOf(20).subarray(6 * PLAIN_PER_CHUNK + 100);
    }
    await expect(vault.uploads.append(token, 0, stalled(), { lastByte: "by-length" })).rejects.toMatchObject({
      code: "UPLOAD_TAKEN_OVER",
    });
    const { offset } = await vault.uploads.find(token);
    await appendTo(token, 20, offset, plainOf(20).length);
    const file = await vault.uploads.finish(token);
    await expectReadable(file, 20);
    await expectNothingLeft(file);
  });
});

describe("killed at any step", () => {
  test.each(["before", "after"] as const)(
    "(%s it is made) loses nothing, and the next round goes on",
    async when => {
      await open(2); // stripes of one: everything goes from one bucket to the other, and back
      await setState(1, "read_only");
      const file = await store(2);
      const token = await vault.link(file.hash, PASSWORD, {});
      const expectWhole = async () =>
        expect(await vault.take(token, { start: 0, end: file.plainBytes })).toEqual(plainOf(2));
      let [step, from, to, isKilled] = [1, 0, 1, true];
      for (; isKilled; step++, [from, to] = [to, from]) {
        await setState(to, "active");
        await setState(from, "draining");
        const { deps, life } = dyingDeps(vault.drainable, { step, when });
        const ending = await vault.drain(deps).catch((error: unknown) => error);
        isKilled = life.isOver;
        if (isKilled) expect(ending).toMatchObject({ name: "Killed" });
        await expectWhole();
        await vault.drain();
        expect((await contents(from)).chunkCount).toBe(0);
        await expectNothingLeft(file);
        await expectWhole();
      }
      expect(step).toBeGreaterThan(20); // that many steps it has
    },
  );

  test("leaves what it put to the sweep, but not before its time is over", async () => {
    await open(3);
    const to = { bucketId: bucketId(1), objectKey: "ab".repeat(16) };
    await vault.drainable.moves.reserve(to, 60);
    await bucketAt(1).put(to.objectKey, new Uint8Array([1]));
    await vault.sweep();
    expect(await bucketAt(1).list()).toEqual([to.objectKey]);
    await expect(setState(1, "disabled")).rejects.toMatchObject({ code: "BUCKET_IN_USE" });
    await expectNothingLeft();
  });

  test("nothing drains where nothing is to be drained", async () => {
    await open(3);
    await store(9);
    expect(await vault.drain()).toEqual(nothing());
  });
});
