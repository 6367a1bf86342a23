import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import type { ManifestObject, ManifestState } from "../../src/core/manifest-ports.js";
import { ManifestRows } from "../../src/database/manifest-store.js";
import {
  hasMark,
  MANIFEST_SLOTS,
  manifestPrefix,
  openEscrow,
  operatorKeyId,
} from "../../src/format/manifest-key.js";
import { escrowOf, openBody, openHead } from "../../src/format/manifest.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault, pieces } from "../support/vault.js";

const PASSWORD = "correct horse";
const MAP_KEY = randomBytes(32);

let vault: Vault;
let store: ManifestRows;
beforeAll(async () => {
  vault = await openVault({ mapKey: MAP_KEY });
  store = new ManifestRows(vault.database);
});
afterAll(() => vault.close());

const newFile = (of = vault) => of.store(bytesOf(5000, 1), { chunkBytes: 1024 });
const stale = () => store.stale(null, 100, operatorKeyId(MAP_KEY));

async function stateOf(fileId: string, of = vault): Promise<ManifestState> {
  const state = await new ManifestRows(of.database).read(fileId);
  if (!state) throw new Error(`file ${fileId} has no manifest`);
  return state;
}

const isRoot = ({ part }: ManifestObject) => part === "root";

/** What each copy of the manifest itself in the buckets says. */
async function contents(fileId: string, of = vault) {
  const { file, mapKey, objects } = await stateOf(fileId, of);
  return Promise.all(
    objects.filter(isRoot).map(async at => {
      const object = await of.object(at);
      const head = openHead(file.hash, at.objectKey, object);
      return { at, object, head, body: openBody(mapKey, at.objectKey, object, head.core) };
    }),
  );
}

/** Every object is a chunk of a file or part of a manifest, and all of these are there. */
async function expectNothingElse(of = vault): Promise<void> {
  const named = await of.sql(
    "select object_key from chunks union all select object_key from manifest_objects",
  );
  const keys = named.map(row => String(row["object_key"]).replaceAll("-", ""));
  expect((await of.objects()).sort()).toEqual(keys.sort());
}

describe("a file that is finished", () => {
  test("has a manifest in two buckets, that says what the database says", async () => {
    const file = await newFile();
    const { wrap } = await stateOf(file.id);
    const copies = await contents(file.id);
    expect(new Set(copies.map(({ at }) => at.bucketId)).size).toBe(2);
    const rows = await vault.chunkMap.chunks(file.id, 0, 100);
    for (const { head, body } of copies) {
      expect(head).toEqual({ revision: 1, core: file.core, wrap });
      expect(body).toMatchObject({
        seal: file.seal,
        profile: file.parity,
        createdAt: file.createdAt.getTime(),
        expiresAt: null,
        meta: file.meta,
        map: { rows: rows.map(({ bucketId, objectKey, digest }) => ({ bucketId, objectKey, digest })) },
      });
      expect([...body.buckets.values()].sort()).toEqual(vault.faulty.map(({ name }) => name).sort());
    }
    expect(await stale()).not.toContain(file.id);
  });

  test("has its expiry and limits in it, to the millisecond", async () => {
    const terms = { expiresInSeconds: 3600, maxDownloads: 3 };
    const file = await vault.store(bytesOf(10, 1), { terms });
    const [copy] = await contents(file.id);
    expect(copy?.body).toMatchObject({
      expiresAt: file.expiresAt?.getTime(),
      maxDownloads: 3,
      downloadCount: 0,
    });
  });

  test("shows its manifests to the operator, and no two copies begin alike", async () => {
    const file = await newFile();
    const copies = await contents(file.id);
    const prefixes = Array.from({ length: MANIFEST_SLOTS }, (_, slot) => manifestPrefix(file.hash, slot));
    for (const { at, object } of copies) {
      expect(prefixes).toContain(at.objectKey.slice(0, 16));
      expect(hasMark(MAP_KEY, at.objectKey, object)).toBe(true);
      expect(openEscrow(MAP_KEY, at.objectKey, escrowOf(object))?.hash).toBe(file.hash);
    }
    expect(new Set(copies.map(({ at }) => at.objectKey.slice(0, 16))).size).toBe(copies.length);
  });

  test("is finished around a bucket that fails", async () => {
    await using faulty = await openVault();
    for (const bucket of faulty.faulty.slice(0, 2)) bucket.fail("put");
    const file = await newFile(faulty);
    expect(await contents(file.id, faulty)).toHaveLength(2);
  });

  test("may have one copy too few where no second bucket takes it, and gets it later", async () => {
    await using two = await openVault({ bucketCount: 2 });
    two.faulty[0]?.fail("put");
    const file = await newFile(two);
    expect(await contents(file.id, two)).toHaveLength(1);
    two.faulty[0]?.heal();
    expect(await two.manifests.refreshStale()).toEqual({ written: 1, failed: 0 });
    expect(await contents(file.id, two)).toHaveLength(2);
    await two.sweep();
    await expectNothingElse(two);
  });

  test("has one copy where there is one bucket", async () => {
    await using one = await openVault({ bucketCount: 1 });
    const file = await newFile(one);
    expect(await contents(file.id, one)).toHaveLength(1);
    expect(await new ManifestRows(one.database).stale(null, 10, new Uint8Array())).toEqual([]);
  });

  test("leaves no manifest once it is deleted and swept", async () => {
    await using own = await openVault();
    const file = await newFile(own);
    await own.files.delete(file.hash, PASSWORD, own.caller);
    await own.sweep();
    expect(await own.objects()).toEqual([]);
    expect(await own.sql("select from manifests")).toEqual([]);
  });
});

describe("an upload", () => {
  test("whose manifest no bucket takes is no file yet, and can be finished later", async () => {
    await using own = await openVault();
    const plain = bytesOf(3000, 2);
    const { token } = await own.begin({ length: plain.length, chunkBytes: 1024 });
    await own.uploads.append(token, 0, pieces(plain, 1000), {
      lastByte: "by-length",
    });
    for (const bucket of own.faulty) bucket.fail("put");
    await expect(own.uploads.finish(token)).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    for (const bucket of own.faulty) bucket.heal();
    const file = await own.uploads.finish(token);
    expect(await contents(file.id, own)).toHaveLength(2);
    await own.sweep();
    await expectNothingElse(own);
  });

  test("that dies between its manifest and its commit leaves nothing behind", async () => {
    await using own = await openVault();
    const plain = bytesOf(3000, 3);
    const { token, upload } = await own.begin({ length: plain.length, chunkBytes: 1024 });
    await own.uploads.append(token, 0, pieces(plain, 1000), {
      lastByte: "by-length",
    });
    await own.sql("create function die() returns trigger language plpgsql as 'begin raise ''died''; end'");
    await own.sql("create trigger die before insert on files for each row execute function die()");
    await expect(own.uploads.finish(token)).rejects.toThrow("died");
    expect((await own.objects()).length).toBe(4 + 2); // and no signpost yet
    await own.expire(upload.id);
    await own.sweep();
    await own.sweep(); // what was pending is dead only now that the upload has ended
    expect(await own.objects()).toEqual([]);
  });
});

describe("a manifest becomes stale, and is written anew, when", () => {
  const MOVE =
    "update chunks set object_key = gen_random_uuid() where file_id = ? and stripe = 0 and shard = 0";
  test.each([
    [
      "the password changes",
      "update grants set wrap = wrap || '\\x00' where file_id = ? and kind = 'password'",
    ],
    ["the expiry changes", "update files set expires_at = now() + interval '1 day' where id = ?"],
    ["the retention changes", "update files set retain_until = now() where id = ?"],
    ["the limit of downloads changes", "update files set max_downloads = 5 where id = ?"],
    ["a chunk moves", MOVE],
  ])("%s", async (_, change) => {
    const file = await newFile();
    await vault.sql(change, [file.id]);
    expect(await stale()).toContain(file.id);
    const { revision, writtenRevision } = await stateOf(file.id);
    expect([revision, writtenRevision]).toEqual([2, 1]);
    // A wrap of another length is none, so that one is only marked.
    if (change.includes("wrap")) {
      await vault.sql("delete from manifests where file_id = ?", [file.id]);
      return;
    }
    const before = (await stateOf(file.id)).objects.filter(isRoot).map(({ objectKey }) => objectKey);
    expect(await vault.manifests.refresh(file.id)).toBe(true);
    const copies = await contents(file.id);
    expect(copies.map(({ head }) => head.revision)).toEqual([2, 2]);
    const prefixes = [...before, ...copies.map(({ at }) => at.objectKey)].map(key => key.slice(0, 16));
    expect(new Set(prefixes).size).toBe(4);
    expect(await stale()).not.toContain(file.id);
    await vault.sweep();
    const objects = await vault.objects();
    for (const key of before) expect(objects).not.toContain(key);
  });

  test("a download is counted towards a limit, and not where there is none", async () => {
    const free = await newFile();
    const limited = await vault.store(bytesOf(10, 4), { terms: { expiresInSeconds: null, maxDownloads: 9 } });
    for (const { hash } of [free, limited]) await vault.read(hash, PASSWORD);
    expect(await stale()).toContain(limited.id);
    expect(await stale()).not.toContain(free.id);
    await vault.manifests.refreshStale();
    expect((await contents(limited.id)).map(({ body }) => body.downloadCount)).toEqual([1, 1]);
  });

  test("one of its buckets is to be emptied", async () => {
    await using own = await openVault();
    const file = await newFile(own);
    const [at] = (await stateOf(file.id, own)).objects;
    await own.sql("update buckets set state = 'draining' where id = ?", [String(at?.bucketId)]);
    await own.buckets.refresh();
    expect(await own.manifests.refreshStale()).toEqual({ written: 1, failed: 0 });
    expect((await stateOf(file.id, own)).objects.map(({ bucketId }) => bucketId)).not.toContain(at?.bucketId);
    expect(await own.manifests.refreshStale()).toEqual({ written: 0, failed: 0 });
  });

  test("MAP_KEY is set, or another", async () => {
    await using own = await openVault({ mapKey: MAP_KEY });
    const file = await newFile(own);
    expect(await new ManifestRows(own.database).stale(null, 10, randomBytes(8))).toEqual([file.id]);
    await own.sql("update manifests set escrow_id = '\\x' where file_id = ?", [file.id]);
    expect(await own.manifests.refreshStale()).toEqual({ written: 1, failed: 0 });
    expect(await own.manifests.refreshStale()).toEqual({ written: 0, failed: 0 });
  });

  test("its file changes or its bucket is to be emptied, a command leaves it to servers that have its MAP_KEY", async () => {
    await using own = await openVault({ mapKey: MAP_KEY });
    const [ours, others] = [await newFile(own), await newFile(own)];
    await own.sql("update manifests set escrow_id = '\\x00' where file_id = ?", [others.id]);
    for (const what of ["max_downloads = 7", "max_downloads = 8"]) {
      await own.sql(`update files set ${what}`);
      expect(await own.manifests.refreshOwn()).toEqual({ written: 1, failed: 0 });
      expect((await contents(ours.id, own)).map(({ head }) => head.revision)).not.toContain(1);
      expect((await contents(others.id, own)).map(({ head }) => head.revision)).toEqual([1, 1]);
    }
    const [at] = (await stateOf(others.id, own)).objects;
    await own.sql("update buckets set state = 'draining' where id = ?", [String(at?.bucketId)]);
    await own.buckets.refresh();
    await own.manifests.refreshOwn();
    expect((await contents(others.id, own)).map(({ head }) => head.revision)).toEqual([1, 1]);
    await own.manifests.refreshStale();
    expect(await own.manifests.refreshStale()).toEqual({ written: 0, failed: 0 });
    for (const { object, at } of await contents(others.id, own))
      expect(openEscrow(MAP_KEY, at.objectKey, escrowOf(object))?.hash).toBe(others.hash);
  });

  test("its holder changes the password, and it is that one that opens it then", async () => {
    const file = await newFile();
    const before = await stateOf(file.id);
    const change = { currentPassword: PASSWORD, newPassword: "battery staple", revokeLinks: true };
    await vault.files.changePassword(file.hash, change, vault.caller);
    expect(await stale()).not.toContain(file.id);
    const { revision, writtenRevision, wrap } = await stateOf(file.id);
    expect([revision, writtenRevision]).toEqual([2, 2]);
    expect(wrap).not.toEqual(before.wrap);
    for (const { head } of await contents(file.id)) expect(head).toMatchObject({ revision: 2, wrap });
  });
});

test("a pass over those that are stale goes on where the one before ran out of time, and then from the first again", async () => {
  const files = [await newFile(), await newFile(), await newFile()].map(({ id }) => id).sort();
  await vault.manifests.refreshStale();
  const change = () => vault.sql("update files set max_downloads = coalesce(max_downloads, 5) + 1");
  await change();
  const written: string[] = [];
  const noTime = async () => {
    const before = new Set(await stale());
    expect(await vault.manifests.refreshStale(undefined, -1)).toEqual({ written: 1, failed: 0 });
    for (const id of await stale()) before.delete(id);
    written.push(...before);
  };
  for (let i = 0; i < files.length; i++) {
    await noTime();
    if (i === 0) await change(); // the first is stale again, and waits for its turn
  }
  expect(written.slice(0, 3)).toEqual([...written.slice(0, 3)].sort());
  expect(new Set(written).size).toBe(3);
  await vault.manifests.refreshStale();
  await vault.manifests.refreshStale();
  expect(await stale()).toEqual([]);
});

describe("while a manifest is stale", () => {
  test("the sweep leaves what only it still names", async () => {
    await using own = await openVault();
    const file = await newFile(own);
    const [row] = await own.chunkMap.chunks(file.id, 0, 0);
    if (!row) throw new Error("no chunk");
    const bytes = await own.object(row);
    const moved = randomBytes(16).toString("hex");
    await own.buckets.port(row.bucketId).put(moved, bytes);
    await own.sql(
      `update chunks set object_key = '${moved}' where file_id = ? and stripe = 0 and shard = 0`,
      [file.id],
    );
    await own.sql(
      `insert into dead_objects (bucket_id, object_key) values (${row.bucketId}, '${row.objectKey}')`,
    );
    await own.sweep();
    expect(await own.objects()).toContain(row.objectKey);
    await own.manifests.refreshStale();
    await own.sweep();
    expect(await own.objects()).not.toContain(row.objectKey);
    await expectNothingElse(own);
  });

  test("because its signposts are being put up, nobody writes it anew meanwhile", async () => {
    await using own = await openVault();
    const { complete } = ManifestRows.prototype;
    const passes: unknown[] = [];
    const spy = jest.spyOn(ManifestRows.prototype, "complete").mockImplementationOnce(async function (
      this: ManifestRows,
      ...args
    ) {
      passes.push(await own.manifests.refreshStale());
      return complete.apply(this, args);
    });
    const file = await newFile(own);
    spy.mockRestore();
    expect(passes).toEqual([{ written: 0, failed: 0 }]);
    expect(await new ManifestRows(own.database).stale(null, 10, new Uint8Array())).toEqual([]);
    expect((await contents(file.id, own)).map(({ head }) => head.revision)).toEqual([1, 1]);
    await expectNothingElse(own);
  });

  test("two that write it anew at once leave one manifest, and nothing else", async () => {
    await using own = await openVault();
    const file = await newFile(own);
    await own.sql("update files set max_downloads = 7 where id = ?", [file.id]);
    const done = await Promise.all([1, 2, 3].map(() => own.manifests.refresh(file.id)));
    expect(done).toContain(true);
    await own.manifests.refreshStale();
    expect((await contents(file.id, own)).map(({ body }) => body.maxDownloads)).toEqual([7, 7]);
    await own.sweep();
    await expectNothingElse(own);
  });

  test("buckets that take nothing leave the old one where it is", async () => {
    await using own = await openVault();
    const file = await newFile(own);
    await own.sql("update files set max_downloads = 7 where id = ?", [file.id]);
    for (const bucket of own.faulty) bucket.fail("put");
    expect(await own.manifests.refreshStale()).toEqual({ written: 0, failed: 1 });
    expect((await contents(file.id, own)).map(({ head }) => head.revision)).toEqual([1, 1]);
    for (const bucket of own.faulty) bucket.heal();
    expect(await own.manifests.refreshStale()).toEqual({ written: 1, failed: 0 });
    await own.sweep();
    await expectNothingElse(own);
  });
});
