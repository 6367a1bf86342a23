import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { ChunkRecord, StoredFile } from "../../src/core/model.js";
import type { RepairDeps } from "../../src/core/repair.js";
import { repair } from "../../src/core/repair.js";
import type { ScrubDeps } from "../../src/core/scrub.js";
import { scrub } from "../../src/core/scrub.js";
import { digestOf } from "../../src/format/core.js";
import { dyingDeps } from "../support/dying.js";
import type { Vault } from "../support/vault.js";
import { UNPACED, bytesOf, openVault } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const PLAIN_PER_CHUNK = CHUNK_BYTES - 32;
const PASSWORD = "correct horse";
/** 4+2 over six buckets. */
const BUCKETS = [0, 1, 2, 3, 4, 5];
const PAIRS = BUCKETS.flatMap(a => BUCKETS.filter(b => b > a).map(b => [a, b] as const));

let vault: Vault;
beforeEach(async () => {
  vault = await openVault({ parity: "default" });
});
afterEach(() => vault.close());

const plainOf = (length: number) => bytesOf(length, length);
const store = (length: number) => vault.store(plainOf(length), { chunkBytes: CHUNK_BYTES });
const rowsOf = ({ id }: StoredFile) => vault.chunkMap.chunks(id, 0, 1000);
const verify = ({ hash }: StoredFile) => vault.verifier.verify(hash, vault.caller, UNPACED);
const scrubOnce = (deps: Partial<ScrubDeps> = {}) =>
  scrub({ ...vault.scrubbable, ...deps }, { ...UNPACED, repairsUnreadable: false });
const repairOnce = (deps: Partial<RepairDeps> = {}) => repair({ ...vault.scrubbable, ...deps }, UNPACED);
const statusOf = async ({ hash }: StoredFile) => (await vault.files.find(hash))?.status;

async function expectReadable(file: StoredFile): Promise<void> {
  expect(await vault.read(file.hash, PASSWORD)).toEqual(plainOf(file.plainBytes));
}

/** Every chunk has its object with its digest, no bucket holds more than `most` of a stripe, and nothing else lies anywhere. */
async function expectWhole(file: StoredFile, most = 1): Promise<void> {
  const rows = await rowsOf(file);
  for (const row of rows) {
    expect(digestOf(await vault.object(row))).toEqual(row.digest);
    const sharing = rows.filter(one => one.stripe === row.stripe && one.bucketId === row.bucketId);
    expect(sharing.length).toBeLessThanOrEqual(most);
  }
  expect(await statusOf(file)).toBe("available");
  await vault.letTimePass();
  await vault.sweep();
  const named = [...rows.map(({ objectKey }) => objectKey), ...(await vault.manifestObjects(file.id))];
  expect((await vault.objects()).sort()).toEqual(named.sort());
}

type Damage = (object: Uint8Array, other: Uint8Array) => Uint8Array | null;
const DAMAGES: readonly (readonly [string, Damage])[] = [
  ["deleted", () => null],
  ["cut by a byte", object => object.subarray(0, -1)],
  ["emptied", () => new Uint8Array()],
  ["longer by a byte", object => new Uint8Array([...object, 0])],
  ["of one other bit", object => object.with(object.length >> 1, (object[object.length >> 1] ?? 0) ^ 1)],
  ["another object of the same size", (_, other) => other],
];

describe("an object", () => {
  test.each(DAMAGES)("%s: whichever it is, it is found and made again, byte-equal", async (_, damage) => {
    const file = await store(5 * PLAIN_PER_CHUNK + 77);
    const other = await vault.store(bytesOf(5 * PLAIN_PER_CHUNK + 77, 1), { chunkBytes: CHUNK_BYTES });
    const theirs = await rowsOf(other);
    for (let at = 0; at < theirs.length; at++) {
      const [row, foreign] = [(await rowsOf(file))[at], theirs[at]] as [ChunkRecord, ChunkRecord];
      await vault.replace(row, damage(await vault.object(row), await vault.object(foreign)));
      await expectReadable(file);
      const { scrubbed } = await verify(file);
      expect(scrubbed).toMatchObject({ checked: theirs.length, bad: 1, repaired: 1, lost: 0, unplaced: 0 });
      expect((await rowsOf(file))[at]).toMatchObject({ digest: row.digest, storedBytes: row.storedBytes });
    }
    await vault.files.delete(other.hash, null, vault.caller);
    await expectWhole(file);
  });

  test("that a reader found bad is repaired by the next repair, without anyone's asking", async () => {
    const file = await store(9 * PLAIN_PER_CHUNK);
    const [first, , third] = (await rowsOf(file)) as [ChunkRecord, ChunkRecord, ChunkRecord];
    await vault.replace(first, null);
    await vault.replace(third, new Uint8Array(CHUNK_BYTES));
    await expectReadable(file);
    expect(await statusOf(file)).toBe("degraded");
    expect(await repairOnce()).toEqual({ files: 1, repaired: 2, lost: 0, unplaced: 0 });
    await expectWhole(file);
    expect(await repairOnce()).toEqual({ files: 0, repaired: 0, lost: 0, unplaced: 0 });
  });
});

describe("of six buckets", () => {
  test.each(PAIRS)(
    "%i and %i may go: what they held is made again in the other four, and spread out when they are back",
    async (...pair) => {
      const file = await store(6 * PLAIN_PER_CHUNK + 5);
      for (const index of pair) {
        const bucket = vault.faulty[index];
        for (const key of (await bucket?.list()) ?? []) await bucket?.delete(key);
        bucket?.fail("any");
      }
      await expectReadable(file);
      const { scrubbed } = await verify(file);
      expect(scrubbed).toMatchObject({ bad: scrubbed.repaired, lost: 0, unplaced: 0 });
      const gone = new Set(pair.map(index => vault.buckets.all[index]?.id));
      const rows = await rowsOf(file);
      expect(rows.filter(({ bucketId }) => gone.has(bucketId))).toEqual([]);
      for (const { stripe, bucketId } of rows) {
        const sharing = rows.filter(row => row.stripe === stripe && row.bucketId === bucketId);
        expect(sharing.length).toBeLessThanOrEqual(2); // so that one more bucket may go
      }
      for (const index of pair) vault.faulty[index]?.heal();
      const again = await scrubOnce({ buckets: await vault.replica() }); // a replica that suspects nobody
      expect(again).toMatchObject({ bad: 0, files: 1 });
      await expectWhole(file);
      await expectReadable(file);
    },
  );

  test("three may not: what is lost is told, nothing wrong is made of it, and it is whole again when one is back", async () => {
    const file = await store(4 * PLAIN_PER_CHUNK);
    const lost = (await rowsOf(file)).slice(0, 3);
    const objects = await Promise.all(lost.map(row => vault.object(row)));
    for (const row of lost) await vault.replace(row, null);
    const { file: after, scrubbed } = await verify(file);
    expect(scrubbed).toMatchObject({ bad: 3, repaired: 0, lost: 3 });
    expect(after.status).toBe("unavailable");
    await vault.replace(lost[0] as ChunkRecord, objects[0] as Uint8Array);
    await scrubOnce();
    await expectWhole(file);
    await expectReadable(file);
  });

  test("three that do not answer: who verifies is told that the file cannot be had, until they answer again", async () => {
    const file = await store(4 * PLAIN_PER_CHUNK);
    for (const index of [0, 1, 2]) vault.faulty[index]?.fail("any");
    const { file: after, scrubbed } = await verify(file);
    expect(scrubbed).toMatchObject({ repaired: 0 });
    expect(scrubbed.lost).toBe(scrubbed.bad);
    expect(after.status).toBe("unavailable");
    for (const index of [0, 1, 2]) vault.faulty[index]?.heal();
    await scrubOnce();
    await expectWhole(file);
    await expectReadable(file);
  });

  test("one that does not answer costs a scrub nothing but its own chunks: they are not made again, it may come back", async () => {
    const file = await store(8 * PLAIN_PER_CHUNK);
    const before = await rowsOf(file);
    vault.faulty[2]?.fail("get");
    const scrubbed = await scrubOnce();
    expect(scrubbed).toMatchObject({ files: 1, repaired: 0, lost: 0 });
    expect(scrubbed.bad).toBeGreaterThan(0);
    expect(await rowsOf(file)).toEqual(before);
    expect(await statusOf(file)).toBe("available");
  });

  test("one that is to be emptied and does not answer is emptied from the others", async () => {
    await vault.close();
    vault = await openVault({ bucketCount: 7, parity: "default" });
    const file = await store(8 * PLAIN_PER_CHUNK);
    vault.faulty[2]?.fail("get");
    const id = vault.buckets.all[2]?.id ?? 0;
    await vault.steering.change(id, { state: "draining" });
    await vault.drain();
    expect((await rowsOf(file)).filter(({ bucketId }) => bucketId === id)).toEqual([]);
    await expectReadable(file);
  });
});

describe("a recovery manifest", () => {
  test.each(DAMAGES)("whose object is %s is written anew, all of it", async (_, damage) => {
    const file = await store(PLAIN_PER_CHUNK);
    const objects = () =>
      vault.sql(
        "select bucket_id, replace(object_key::text, '-', '') as key from manifest_objects where file_id = ?",
        [file.id],
      );
    const before = await objects();
    const [row] = before;
    const ref = { bucketId: Number(row?.["bucket_id"]), objectKey: String(row?.["key"]) };
    const object = await vault.object(ref);
    await vault.replace(ref, damage(object, new Uint8Array(object.length)));
    expect(await scrubOnce()).toMatchObject({ checked: 3, bad: 0 });
    const after = await objects();
    expect(after).toHaveLength(before.length);
    expect(after.map(({ key }) => key)).not.toEqual(expect.arrayContaining([ref.objectKey]));
    await expectWhole(file);
    await scrubOnce();
    expect(await objects()).toEqual(after); // it is left alone when nothing is wrong with it
  });
});

describe("a scrub", () => {
  test("goes on where its time was over, takes the file next that has waited longest, and comes to all", async () => {
    const files = [await store(70 * 4 * PLAIN_PER_CHUNK), await store(5), await store(0)];
    const untouched = () => vault.count("select count(*) from files where scrubbed_at = '-infinity'", []);
    let rounds = 0;
    for (; (await untouched()) > 0 && rounds < 100; rounds++) {
      // A page and no more.
      await scrub(vault.scrubbable, { ...UNPACED, timeMs: 1, repairsUnreadable: false });
    }
    expect(rounds).toBeGreaterThan(files.length); // the large one takes several
    expect(await vault.count("select count(*) from chunks where last_verified_at is null", [])).toBe(0);
  });

  test("reads no faster than it is told", async () => {
    const file = await store(32 * 4 * PLAIN_PER_CHUNK);
    const bytes = (await rowsOf(file)).reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    const began = performance.now();
    await scrub(vault.scrubbable, { ...UNPACED, bytesPerSecond: 2 * bytes, repairsUnreadable: false });
    expect(performance.now() - began).toBeGreaterThanOrEqual(499); // never less, however fast the machine
  });

  test("of two at once loses nothing and leaves nothing", async () => {
    const file = await store(12 * PLAIN_PER_CHUNK);
    for (const row of (await rowsOf(file)).filter(({ shard }) => shard < 2)) await vault.replace(row, null);
    await Promise.all([scrubOnce(), verify(file), repairOnce()]);
    await verify(file);
    await expectWhole(file);
    await expectReadable(file);
  });
});

describe("killed at any step", () => {
  test.each(["before", "after"] as const)(
    "(%s it is made) a repair loses nothing, and the next goes on",
    async when => {
      const file = await store(3 * PLAIN_PER_CHUNK);
      let step = 1;
      for (let isKilled = true; isKilled; step++) {
        const row = (await rowsOf(file))[step % 5] as ChunkRecord;
        await vault.replace(row, null);
        const { deps, life } = dyingDeps({ ...vault.scrubbable, listing: {} }, { step, when });
        const ending = await scrubOnce(deps).catch((error: unknown) => error);
        isKilled = life.isOver;
        if (isKilled) expect(ending).toMatchObject({ name: "Killed" });
        await expectReadable(file);
        await verify(file);
        await expectWhole(file);
      }
      expect(step).toBeGreaterThan(15); // that many steps it has
    },
  );
});

describe("verifying", () => {
  test("finds a chunk map that is not the one the hash commits to", async () => {
    const file = await store(3 * PLAIN_PER_CHUNK);
    await vault.sql("update chunks set digest = sha256('another') where file_id = ? and shard = 1", [
      file.id,
    ]);
    await expect(verify(file)).rejects.toMatchObject({ code: "FILE_UNAVAILABLE" });
  });

  test.each([
    ["zz", "INVALID_HASH"],
    ["ab".repeat(32), "NOT_FOUND"],
  ])("refuses %s with %s", async (hash, code) => {
    await expect(vault.verifier.verify(hash, vault.caller, UNPACED)).rejects.toMatchObject({ code });
  });

  test("is in the audit log, and so is what was repaired", async () => {
    const file = await store(PLAIN_PER_CHUNK);
    await vault.replace((await rowsOf(file))[0] as ChunkRecord, null);
    await verify(file);
    const rows = await vault.sql(
      "select action from audit_inbox where file_id = ? union all select action from audit_events",
      [file.id],
    );
    const actions = rows.map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(["FILE_VERIFIED", "CHUNK_REPAIRED"]));
  });
});
