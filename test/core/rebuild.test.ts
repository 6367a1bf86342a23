/** The database anew, from the buckets and MAP_KEY. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { MemoryBucket } from "../../src/buckets/memory.js";
import type { StoredFile } from "../../src/core/model.js";
import type { Bucket } from "../../src/core/ports.js";
import { rebuild } from "../../src/core/rebuild.js";
import { BucketRows } from "../../src/database/bucket-directory.js";
import { openDatabase } from "../../src/database/orm.js";
import { RebuildRows } from "../../src/database/rebuild-store.js";
import { createDatabase } from "../support/database.js";
import { silent } from "../support/log.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault } from "../support/vault.js";

const PASSWORD = "correct horse";
const MAP_KEY = randomBytes(32);
const open = () => openVault({ mapKey: MAP_KEY });

async function freshDatabase() {
  const test = await createDatabase();
  const database = await openDatabase({ url: test.url, poolSize: 8, log: silent });
  const query = async (text: string) => (await (await database.pool()).query(text)).rows;
  const close = async () => {
    await database.close();
    await test.drop();
  };
  return { ...test, database, query, [Symbol.asyncDispose]: close };
}
type Fresh = Awaited<ReturnType<typeof freshDatabase>>;

function rebuildInto({ database }: Fresh, buckets: readonly Bucket[], operatorKey: Buffer = MAP_KEY) {
  const [directory, store] = [new BucketRows(database), new RebuildRows(database)];
  return rebuild({ buckets, directory, store, operatorKey, log: silent, onProgress: () => {} });
}

/** What a database says of its files: all of it that a rebuild is to bring back. */
async function dump(query: (text: string) => Promise<unknown[]>): Promise<unknown> {
  return {
    files: await query("select * from files where status <> 'gone' order by id"),
    passwords: await query("select file_id, wrap from grants where kind = 'password' order by file_id"),
    chunks: await query(
      "select c.file_id, stripe, shard, b.name, object_key, stored_bytes, digest from chunks c join buckets b on b.id = c.bucket_id order by 1, 2, 3",
    ),
    manifests: await query(
      "select file_id, map_key, escrow_id, revision, written_revision from manifests order by file_id",
    ),
    objects: await query(
      "select o.file_id, part, b.name, object_key, stored_bytes, digest from manifest_objects o join buckets b on b.id = o.bucket_id order by 1, 2, 3",
    ),
  };
}

async function manifestsOf(vault: Vault, { id }: StoredFile) {
  const rows = await vault.sql("select bucket_id, object_key from manifest_objects where file_id = ?", [id]);
  return rows.map(row => ({
    bucketId: Number(row["bucket_id"]),
    objectKey: String(row["object_key"]).replaceAll("-", ""),
  }));
}

describe("a rebuild", () => {
  test("brings back exactly what the database said", async () => {
    await using vault = await open();
    await vault.store(bytesOf(20_000, 1), { chunkBytes: 1024 });
    await vault.store(new Uint8Array());
    const terms = { expiresInSeconds: 86_400, maxDownloads: 5 };
    const limited = await vault.store(bytesOf(5000, 2), { chunkBytes: 2048, terms });
    await vault.read(limited.hash, PASSWORD);
    await vault.sql(
      "update files set retain_until = date_trunc('milliseconds', now()) + interval '1 hour' where id = ?",
      [limited.id],
    );
    const deleted = await vault.store(bytesOf(10, 3));
    await vault.files.delete(deleted.hash, PASSWORD, vault.caller);
    await vault.manifests.refreshStale();
    await vault.sweep();

    await using fresh = await freshDatabase();
    const objects = (await vault.objects()).length;
    expect(await rebuildInto(fresh, vault.faulty)).toEqual({
      files: 3,
      objects,
      outdated: 0,
      damaged: [],
      unreadable: [],
      unnamed: [],
      missing: { chunks: 0, files: 0 },
    });
    expect(await dump(fresh.query)).toEqual(await dump(text => vault.sql(text)));
  });

  test("takes the newest of several manifests, in whatever order they come", async () => {
    await using vault = await open();
    const file = await vault.store(bytesOf(3000, 1), { chunkBytes: 1024 });
    for (const limit of [3, 4, 5]) {
      await vault.sql(`update files set max_downloads = ${limit} where id = ?`, [file.id]);
      await vault.manifests.refresh(file.id); // never swept, so all of them are there
    }
    await using fresh = await freshDatabase();
    const rebuilt = await rebuildInto(fresh, vault.faulty);
    expect(rebuilt).toMatchObject({ files: 1, damaged: [], missing: { chunks: 0 } });
    expect(await fresh.query("select max_downloads from files")).toEqual([{ max_downloads: 5 }]);
    expect(await fresh.query("select revision from manifests")).toEqual([{ revision: "4" }]);
    // Two copies of each of the three older ones: they are left where they are, for the next sweep.
    expect(rebuilt.unnamed).toEqual([]);
    expect(await fresh.query("select from dead_objects")).toHaveLength(6);
    expect((await vault.objects()).length).toBe(rebuilt.objects);
  });

  test("takes a database that is not empty only where a rebuild has left it so", async () => {
    await using vault = await open();
    await vault.store(bytesOf(3000, 1));
    await using fresh = await freshDatabase();
    const [first, ...others] = vault.faulty;
    if (!first) throw new Error("no bucket");
    const stopped = new Error("the database goes away");
    const gone = Object.assign(Object.create(first) as Bucket, { list: () => Promise.reject(stopped) });
    await expect(rebuildInto(fresh, [gone, ...others])).rejects.toBe(stopped);
    expect(await rebuildInto(fresh, vault.faulty)).toMatchObject({
      files: 1,
      unnamed: [],
      missing: { chunks: 0 },
    });
    expect(await fresh.query("select count(*)::int from files")).toEqual([{ count: 1 }]);
    await expect(rebuildInto(fresh, vault.faulty)).rejects.toMatchObject({ code: "BAD_REQUEST" });
  });

  test("says what is damaged, missing and unnamed, and deletes nothing", async () => {
    await using vault = await open();
    const hurt = await vault.store(bytesOf(3000, 1), { chunkBytes: 1024 });
    const lost = await vault.store(bytesOf(3000, 2), { chunkBytes: 1024 });
    const holed = await vault.store(bytesOf(3000, 3), { chunkBytes: 1024 });
    const flip = async (at: { bucketId: number; objectKey: string }) => {
      const object = await vault.object(at);
      await vault.replace(
        at,
        object.map((byte, i) => (i === object.length - 1 ? byte ^ 1 : byte)),
      );
    };
    const [one] = await manifestsOf(vault, hurt);
    if (one) await flip(one);
    for (const at of await manifestsOf(vault, lost)) await flip(at);
    const [chunk] = await vault.chunkMap.chunks(holed.id, 0, 0);
    if (chunk) await vault.replace(chunk, null);
    await vault.buckets.port(1).put("ab".repeat(16), bytesOf(100, 1));
    const before = (await vault.objects()).sort();

    await using fresh = await freshDatabase();
    const rebuilt = await rebuildInto(fresh, vault.faulty);
    expect(rebuilt.files).toBe(2);
    const told = rebuilt.damaged.map(({ hash, isRestored }) => [hash, isRestored]);
    expect(told).toHaveLength(3);
    expect(told).toEqual(
      expect.arrayContaining([
        [hurt.hash, true],
        [lost.hash, false],
        [lost.hash, false],
      ]),
    );
    expect(rebuilt.missing).toEqual({ chunks: 1, files: 1 });
    const examples = rebuilt.unnamed.flatMap(bucket => bucket.examples);
    expect(examples).toContain("ab".repeat(16));
    expect((await vault.objects()).sort()).toEqual(before);
    // One copy is too few: the next pass writes the second.
    expect(
      await fresh.query("select count(*)::int from manifests where written_revision < revision"),
    ).toEqual([{ count: 1 }]);
  });

  test("recognises buckets that were restored under other names", async () => {
    await using vault = await open();
    const file = await vault.store(bytesOf(20_000, 1), { chunkBytes: 1024 });
    const restored = await Promise.all(
      vault.faulty.map(async (bucket, i) => {
        const copy = new MemoryBucket(`memory://restored-${i}`);
        for (const key of await bucket.list())
          await copy.put(key, (await bucket.get(key)) ?? new Uint8Array());
        return copy;
      }),
    );
    await using fresh = await freshDatabase();
    expect(await rebuildInto(fresh, restored)).toMatchObject({ files: 1, missing: { chunks: 0, files: 0 } });
    const names = await fresh.query("select name from buckets order by name");
    expect(names).toEqual(restored.map(({ name }) => ({ name })));
    expect(file.status).toBe("available");
  });

  test("goes on without a bucket that does not answer, and says so", async () => {
    await using vault = await open();
    const files = [];
    for (let i = 0; i < 6; i++) files.push(await vault.store(bytesOf(100, i)));
    vault.faulty[0]?.fail("list");
    await using fresh = await freshDatabase();
    const rebuilt = await rebuildInto(fresh, vault.faulty);
    expect(rebuilt).toMatchObject({ files: files.length, unreadable: ["memory://0"] });
  });

  test("finds nothing under another key", async () => {
    await using vault = await open();
    await vault.store(bytesOf(100, 1));
    await using fresh = await freshDatabase();
    expect(await rebuildInto(fresh, vault.faulty, randomBytes(32))).toMatchObject({ files: 0, damaged: [] });
  });
});
