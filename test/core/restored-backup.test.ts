/** An old backup of the database over newer buckets: the sweep must end nothing that the lost time has brought. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import type { StoredFile } from "../../src/core/model.js";
import { sweep } from "../../src/core/sweep.js";
import type { TermsChange } from "../../src/core/terms-change.js";
import { recoverFrom } from "../support/recovered.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault, pieces } from "../support/vault.js";

const PASSWORD = "correct horse";
const PLAIN = bytesOf(5000, 1);
const NOTHING = { uploads: 0, files: 0, objects: 0, objectsLeft: 0, spared: 0 };
const TABLES = [
  "uploads",
  "files",
  "grants",
  "chunks",
  "pending_objects",
  "dead_objects",
  "manifests",
  "manifest_objects",
  "superseded_objects",
];

/** Puts the tables back to what they are now, as a restored backup does. */
async function backup(vault: Vault): Promise<() => Promise<unknown>> {
  const copies = TABLES.map(table => `create table backup.${table} as table public.${table};`);
  await vault.sql(`create schema backup; ${copies.join("")}`);
  const back = TABLES.map(table => `insert into public.${table} select * from backup.${table};`);
  return () =>
    vault.sql(`set local session_replication_role = replica; truncate ${TABLES.join(",")}; ${back.join("")}`);
}

/** All bytes of an upload, but no file yet. */
async function wholeUpload(vault: Vault) {
  const begun = await vault.begin({ length: PLAIN.length, chunkBytes: 1024 });
  await vault.uploads.append(begun.token, 0, pieces(PLAIN, 1000), { lastByte: "by-length" });
  return begun;
}

async function expectIntact(vault: Vault, { hash }: StoredFile): Promise<void> {
  const recovered = await recoverFrom(vault.faulty, hash, PASSWORD);
  expect(Buffer.from(await recovered.read()).equals(PLAIN)).toBe(true);
}

const expireFiles = (vault: Vault) =>
  vault.sql("update files set expires_at = now() - interval '1 s' where expires_at is not null");

describe("an upload in the backup that has become a file since", () => {
  test("is spared when it expires, for a day, and the log names the file", async () => {
    await using vault = await openVault({ parity: "default" });
    const { token, upload } = await wholeUpload(vault);
    const restore = await backup(vault);
    const file = await vault.uploads.finish(token);
    const before = (await vault.objects()).sort();
    await restore();
    await vault.expire(upload.id);

    const told: unknown[] = [];
    const log = {
      info: () => {},
      warn: () => {},
      error: (text: string, facts?: object) => told.push([text, facts]),
    };
    expect(await sweep({ ...vault.sweepable, log, graceSeconds: 0 })).toEqual({ ...NOTHING, spared: 1 });
    expect(told).toEqual([
      ["not ended: the database is older than the buckets", { uploadId: upload.id, hash: file.hash }],
    ]);
    expect((await vault.objects()).sort()).toEqual(before);
    await expectIntact(vault, file);

    const calls = () => vault.faulty.reduce((sum, bucket) => sum + bucket.calls.list, 0);
    const listings = calls();
    expect(await vault.sweep()).toEqual(NOTHING);
    expect(calls()).toBe(listings);
    await vault.sql("update uploads set spared_until = now()");
    expect(await vault.sweep()).toEqual({ ...NOTHING, spared: 1 });
  });

  test("keeps objects that the backup has as pending, whoever has the upload now", async () => {
    await using vault = await openVault();
    const { token, upload } = await wholeUpload(vault);
    // As between the put and the commit of its chunks.
    const rows = await vault.chunkMap.chunks(upload.id, 0, 99);
    await vault.sql("truncate pending_objects");
    await vault.chunkMap.reserve(upload.id, 1, rows);
    const restore = await backup(vault);
    await vault.sql("truncate pending_objects");
    const file = await vault.uploads.finish(token);
    for (const change of ["lease = lease + 1", "stage = 'expired'"]) {
      await restore();
      await vault.sql(`delete from chunks where file_id = ?`, [upload.id]);
      await vault.sql(`update uploads set ${change} where id = ?`, [upload.id]);
      expect(await vault.sweep()).toEqual({ ...NOTHING, spared: rows.length });
      expect(await vault.sweep()).toEqual(NOTHING);
      await expectIntact(vault, file);
    }
  });

  test("keeps its chunks where they are when their bucket is emptied", async () => {
    await using vault = await openVault();
    const { token } = await wholeUpload(vault);
    const restore = await backup(vault);
    const file = await vault.uploads.finish(token);
    await restore();
    const [chunk] = await vault.chunkMap.chunks(file.id, 0, 0);
    await vault.sql("update buckets set state = 'draining' where id = ?", [String(chunk?.bucketId)]);
    const drained = await vault.drain({ idleSeconds: 0 });
    expect(drained).toMatchObject({ moved: 0, movedBytes: 0 });
    expect(drained.spared).toBeGreaterThan(0);
    await vault.sweep();
    await expectIntact(vault, file);
  });

  test("is spared for ten minutes while too few buckets answer to say", async () => {
    await using vault = await openVault({ parity: "default" }); // 4+2: two may be silent
    const { upload } = await wholeUpload(vault);
    await vault.expire(upload.id);
    for (const bucket of vault.faulty.slice(0, 3)) bucket.fail("list");
    expect(await vault.sweep()).toEqual({ ...NOTHING, spared: 1 });
    const soon = "select from uploads where spared_until < now() + interval '11 minutes'";
    expect(await vault.sql(soon)).toHaveLength(1);
    await vault.sql("update uploads set spared_until = now()");
    vault.faulty[0]?.heal();
    expect(await vault.sweep()).toMatchObject({ uploads: 1, spared: 0 });
  });
});

describe("a file that expires in the backup, and whose terms were changed since,", () => {
  const terms = { expiresInSeconds: 3600, maxDownloads: null };
  const later = new Date(Date.now() + 7 * 24 * 3600 * 1000);
  test.each<[string, TermsChange]>([
    ["to expire later", { expiresAt: later }],
    ["never to expire", { expiresAt: null }],
    ["to be retained", { retainUntil: later }],
  ])("%s, is spared", async (_, change) => {
    await using vault = await openVault();
    const file = await vault.store(PLAIN, { chunkBytes: 1024, terms });
    await vault.sweep();
    const restore = await backup(vault);
    await vault.files.changeTerms(file.hash, { password: null, ...change }, vault.caller);
    await vault.sweep();
    await restore();
    await expireFiles(vault);
    // What the backup's manifest was is gone already, so that only what is newer is left to be found.
    expect(await vault.sweep()).toEqual({ ...NOTHING, spared: 1 });
    expect(await vault.sweep()).toEqual(NOTHING);
    await expectIntact(vault, file);
  });

  test("to be had more often, is spared", async () => {
    await using vault = await openVault();
    const file = await vault.store(PLAIN, { terms: { expiresInSeconds: null, maxDownloads: 1 } });
    const restore = await backup(vault);
    await vault.files.changeTerms(file.hash, { password: null, maxDownloads: 9 }, vault.caller);
    await restore();
    await vault.read(file.hash, PASSWORD); // its last, as far as this database knows
    expect((await vault.files.require(file.hash)).downloadCount).toBe(1);
    await vault.sql("update files set spared_until = now()");
    expect(await vault.sweep()).toMatchObject({ files: 0, spared: 1 });
    await expectIntact(vault, file);
  });

  test("in no way, is ended: what this database has written itself proves nothing", async () => {
    await using vault = await openVault();
    const file = await vault.store(PLAIN, { terms });
    await vault.files.changeTerms(file.hash, { password: null, expiresAt: later }, vault.caller);
    await expireFiles(vault); // stale, too
    expect(await vault.sweep()).toMatchObject({ files: 1, spared: 0 });
    await vault.sweep();
    expect(await vault.objects()).toEqual([]);
  });

  test("is spared for ten minutes while too few buckets answer to say", async () => {
    await using vault = await openVault({ parity: "default" });
    await vault.store(PLAIN, { terms });
    await expireFiles(vault);
    for (const bucket of vault.faulty.slice(0, 3)) bucket.fail("list");
    expect(await vault.sweep()).toEqual({ ...NOTHING, spared: 1 });
    await vault.sql("update files set spared_until = now()");
    vault.faulty[0]?.heal();
    expect(await vault.sweep()).toMatchObject({ files: 1, spared: 0 });
  });

  test("is spared though its newest manifest is no newer than what this database has written since", async () => {
    await using vault = await openVault();
    const file = await vault.store(PLAIN, { chunkBytes: 1024, terms });
    const restore = await backup(vault);
    await vault.files.changeTerms(file.hash, { password: null, expiresAt: null }, vault.caller);
    await restore();
    for (const count of [5, 6, 7]) {
      await vault.sql(`update files set max_downloads = ${count} where id = ?`, [file.id]);
      expect(await vault.manifests.refresh(file.id)).toBe(true);
    }
    await expireFiles(vault);
    expect(await vault.sweep()).toMatchObject({ files: 0, spared: 1 });
    await expectIntact(vault, file);
  });
});

test("an object that the backup has on its way to take a chunk's place is kept once it has it", async () => {
  await using vault = await openVault();
  const file = await vault.store(PLAIN, { chunkBytes: 1024 });
  await vault.sweep();
  const [chunk] = await vault.chunkMap.chunks(file.id, 0, 0);
  if (!chunk) throw new Error("no chunk");
  const bytes = await vault.object(chunk);
  const moved = { bucketId: chunk.bucketId, objectKey: randomBytes(16).toString("hex") };
  const { moves } = vault.drainable;
  await moves.reserve(moved, -1, { ...chunk, fileId: file.id });
  await vault.replace(moved, bytes);
  await vault.replace(chunk, null); // after the swap, which this database does not know of
  expect(await vault.sweep()).toEqual({ ...NOTHING, spared: 1 });
  expect(await vault.objects()).toContain(moved.objectKey);
  await vault.replace(chunk, bytes);
  await vault.sql("update pending_objects set spared_until = now()");
  expect(await vault.sweep()).toEqual({ ...NOTHING, objects: 1 });
  expect(await vault.objects()).not.toContain(moved.objectKey);
});

describe("signposts", () => {
  const signposts = (vault: Vault) => vault.sql("select bucket_id from manifest_objects where part = -2");

  test("stand in as many buckets as may be lost, and one more", async () => {
    await using vault = await openVault({ parity: "default" });
    await vault.store(PLAIN);
    expect(new Set((await signposts(vault)).map(row => row["bucket_id"])).size).toBe(3);
  });

  test("that cannot be put up hold up no file, and stand a minute later", async () => {
    await using vault = await openVault();
    const { token } = await wholeUpload(vault);
    for (const bucket of vault.faulty) bucket.fail("put", { skip: 1 }); // after the manifest
    await vault.uploads.finish(token);
    for (const bucket of vault.faulty) bucket.heal();
    await vault.manifests.refreshStale();
    expect(await signposts(vault)).toHaveLength(2);
    await vault.sweep();
    expect(await vault.objects()).toHaveLength(6 + 2 + 2);
  });

  test("stay where they are while the file changes, and go with it", async () => {
    await using vault = await openVault();
    const file = await vault.store(PLAIN);
    const before = await signposts(vault);
    await vault.files.changeTerms(file.hash, { password: null, maxDownloads: 9 }, vault.caller);
    expect(await signposts(vault)).toEqual(before);
    await vault.files.delete(file.hash, null, vault.caller);
    await vault.sweep();
    expect(await vault.objects()).toEqual([]);
  });

  test("a damaged one is found by the scrub, and others are put up", async () => {
    await using vault = await openVault();
    const file = await vault.store(PLAIN);
    const row = "select bucket_id, object_key from manifest_objects where part = -2 limit 1";
    const [at] = await vault.sql(row);
    const bucketId = Number(at?.["bucket_id"]);
    await vault.replace({ bucketId, objectKey: String(at?.["object_key"]).replaceAll("-", "") }, null);
    const signal = new AbortController().signal;
    expect(await vault.manifests.scrub(file.id, { signal, countsUnreadable: false })).toBe(true);
    expect(await vault.manifests.scrub(file.id, { signal, countsUnreadable: false })).toBe(false);
    expect(await signposts(vault)).toHaveLength(2);
  });
});
