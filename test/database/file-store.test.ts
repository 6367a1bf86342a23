import { describe, expect, test } from "@jest/globals";
import {
  append,
  beginUpload,
  commitOf,
  finish,
  newFile,
  newGrant,
  newRef,
  newUpload,
  objectCount,
  run,
  some,
  stores,
  times,
} from "./fixture.js";

const s = stores();

describe("finish", () => {
  test("makes a file of the upload, keeps the password and drops the upload grant", async () => {
    const upload = await beginUpload(s);
    const file = some(await finish(s, upload, { expiresInSeconds: 60, maxDownloads: 2 }));
    expect(file).toMatchObject({ id: upload.id, status: "available", downloadCount: 0, maxDownloads: 2 });
    expect(file).toMatchObject({ retainUntil: null, isRetained: false, parity: upload.parity });
    expect(some(file.expiresAt).getTime() - file.createdAt.getTime()).toBeCloseTo(60_000, -2);
    expect(await s.files.find({ hash: file.hash })).toEqual(file);
    expect(await s.files.find({ id: file.id })).toEqual(file);
    expect(await s.files.find({ hash: `${file.hash}zz` })).toBeNull();
    expect(await s.grants.find({ passwordOf: file.id })).not.toBeNull();
  });

  test("happens once, under the lease", async () => {
    const upload = await beginUpload(s);
    const files = await times(10, () => finish(s, upload));
    expect(files.filter(file => file !== null)).toHaveLength(1);
    const late = await beginUpload(s);
    await s.uploads.lease(late.id, { offset: 0 });
    expect(await finish(s, late)).toBeNull();
  });

  test("tells the upload its hash, by its token, and forgets the upload grant", async () => {
    const asked = newUpload();
    const grant = newGrant(asked.id, "upload");
    await s.uploads.create(asked, [grant, newGrant(asked.id, "password")]);
    const upload = some(await s.uploads.lease(asked.id, { offset: 0 }));
    const file = some(await finish(s, upload));
    expect(await s.uploads.find(asked.tokenId)).toMatchObject({ stage: "finished", hash: file.hash });
    expect(await s.grants.find({ id: grant.id, kind: "upload" })).toBeNull();
  });

  test("refuses a file without a password, with a tail, or of another size, and changes nothing", async () => {
    const asked = newUpload();
    await s.uploads.create(asked, []);
    const bare = some(await s.uploads.lease(asked.id, { offset: 0 }));
    await expect(finish(s, bare)).rejects.toMatchObject({ code: "MISSING_PASSWORD" });
    expect((await s.uploads.find(asked.tokenId))?.stage).toBe("receiving");

    const upload = await beginUpload(s);
    await expect(finish(s, upload, {}, 7)).rejects.toThrow(/not whole/);
    await append(s, commitOf(upload, 5, [], { ...newRef(), plainBytes: 5 }));
    await expect(finish(s, upload, {}, 5)).rejects.toThrow(/not whole/);
    expect(await s.files.find({ id: upload.id })).toBeNull();
  });
});

describe("countDownload", () => {
  test("lets exactly as many through as the file allows", async () => {
    const file = await newFile(s, 1, { maxDownloads: 7 });
    const counted = await times(50, () => s.files.countDownload(file.id));
    expect(counted.filter(Boolean)).toHaveLength(7);
    expect((await s.files.find({ id: file.id }))?.downloadCount).toBe(7);
  });

  test("counts without a limit, and nothing of a file that is gone, expired or unknown", async () => {
    const file = await newFile(s);
    expect(await s.files.countDownload(file.id)).toBe(true);
    await run(s, `update files set expires_at = now() where id = '${file.id}'`);
    expect(await s.files.countDownload(file.id)).toBe(false);
    const gone = await newFile(s);
    await s.files.shred(gone.id);
    expect(await s.files.countDownload(gone.id)).toBe(false);
    expect(await s.files.countDownload(newUpload().id)).toBe(false);
  });
});

describe("shred", () => {
  test("deletes every grant and the meta, and turns all chunks into dead objects", async () => {
    const file = await newFile(s, 12);
    const link = await s.grants.add(newGrant(file.id, "link"));
    const before = await objectCount(s, "dead_objects");
    expect(await s.files.shred(file.id)).toBe(true);
    expect(await s.files.find({ id: file.id })).toMatchObject({ status: "gone", meta: null });
    expect(await s.grants.find({ id: link.id, kind: "link" })).toBeNull();
    expect(await s.grants.find({ passwordOf: file.id })).toBeNull();
    expect(await objectCount(s, "dead_objects")).toBe(before + 36);
    expect(await s.files.shred(file.id)).toBe(true);
    expect(await s.files.shred(newUpload().id)).toBe(false);
  });

  test("that a crash stopped between two batches is found by the sweep and goes on", async () => {
    const file = await newFile(s, 12);
    // The third batch cannot be written, as if the process had died after the second.
    await run(
      s,
      `create function die() returns trigger language plpgsql as $$ begin
         if (select count(*) from chunks where file_id = '${file.id}') <= 16 then raise 'died'; end if; return null; end $$;
       create trigger die after delete on chunks for each statement execute function die()`,
    );
    await expect(s.files.shred(file.id)).rejects.toThrow("died");
    await run(s, "drop trigger die on chunks; drop function die");
    expect(await s.chunkMap.chunks(file.id, 0, 99)).not.toHaveLength(0);
    expect(await s.grants.find({ passwordOf: file.id })).toBeNull();

    const { files } = await s.dead.expired(10);
    expect(files).toContain(file.id);
    expect(await s.files.shred(file.id)).toBe(true);
    expect(await s.chunkMap.chunks(file.id, 0, 99)).toEqual([]);
    expect((await s.dead.expired(10)).files).not.toContain(file.id);
  });

  test("by many at once moves every chunk once", async () => {
    const file = await newFile(s, 20);
    const before = await objectCount(s, "dead_objects");
    expect(await times(8, () => s.files.shred(file.id))).toEqual(Array(8).fill(true));
    expect(await objectCount(s, "dead_objects")).toBe(before + 60);
    expect(await s.chunkMap.chunks(file.id, 0, 99)).toEqual([]);
  });

  test("refuses a retained file, whose retention the database's clock decides", async () => {
    const file = await newFile(s, 1, { expiresInSeconds: 1 });
    await run(
      s,
      `update files set retain_until = now() + interval '1 hour', expires_at = now() where id = '${file.id}'`,
    );
    expect((await s.files.find({ id: file.id }))?.isRetained).toBe(true);
    await expect(s.files.shred(file.id)).rejects.toMatchObject({ code: "FILE_RETAINED" });
    expect((await s.dead.expired(99)).files).not.toContain(file.id);
    await run(s, `update files set retain_until = now() where id = '${file.id}'`);
    expect((await s.dead.expired(99)).files).toContain(file.id);
    expect(await s.files.shred(file.id)).toBe(true);
  });

  test("and a link made at the same moment: no grant is left behind", async () => {
    for (let round = 0; round < 20; round++) {
      const file = await newFile(s);
      const link = newGrant(file.id, "link");
      await Promise.allSettled([s.grants.add(link), s.files.shred(file.id)]);
      expect(await s.grants.find({ id: link.id, kind: "link" })).toBeNull();
    }
  });
});
