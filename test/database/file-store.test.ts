import { describe, expect, test } from "@jest/globals";
import {
  append,
  beginUpload,
  commitOf,
  endingFiles,
  finish,
  finishEvents,
  newFile,
  newGrant,
  newLink,
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
    expect(await finishEvents(s, upload.id)).toBe(1);
    const late = await beginUpload(s);
    await s.uploads.lease(late.id, { offset: 0 });
    expect(await finish(s, late)).toBeNull();
    expect(await finishEvents(s, late.id)).toBe(0);
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

describe("changeTerms", () => {
  test("writes what is given and leaves the rest", async () => {
    const file = await newFile(s, 1, { expiresInSeconds: 60, maxDownloads: 3 });
    expect(await s.files.changeTerms(file.id, () => ({ maxDownloads: 9 }))).toEqual({
      ...file,
      maxDownloads: 9,
    });
    const retainUntil = new Date(Date.now() + 60_000);
    const changed = some(await s.files.changeTerms(file.id, () => ({ expiresAt: null, retainUntil })));
    expect(changed).toMatchObject({ expiresAt: null, maxDownloads: 9, retainUntil, isRetained: true });
    expect(await s.files.changeTerms(file.id, () => ({}))).toEqual(changed);
    expect(await s.files.changeTerms(newUpload().id, () => ({}))).toBeNull();
  });

  test("changes nothing when the decision throws", async () => {
    const file = await newFile(s);
    const refuse = () => {
      throw new Error("no");
    };
    await expect(s.files.changeTerms(file.id, refuse)).rejects.toThrow("no");
    expect(await s.files.find({ id: file.id })).toEqual(file);
  });

  test("at once by many: each decides on what the one before has written", async () => {
    const file = await newFile(s, 1, { maxDownloads: 1 });
    await times(20, () =>
      s.files.changeTerms(file.id, ({ maxDownloads }) => ({ maxDownloads: (maxDownloads ?? 0) + 1 })),
    );
    expect(await s.files.find({ id: file.id })).toMatchObject({ maxDownloads: 21 });
  });

  test("that moves the expiry at the moment of the sweep: the sweep leaves the file, or the change is told", async () => {
    for (let round = 0; round < 20; round++) {
      const file = await newFile(s);
      await run(s, `update files set expires_at = now() where id = '${file.id}'`);
      const changing = s.files.changeTerms(file.id, ({ status }) => {
        if (status === "gone") throw new Error("gone");
        return { expiresAt: null };
      });
      const [changed, swept] = await Promise.allSettled([changing, s.files.shred(file.id, "over")]);
      const isThere = (await s.files.find({ id: file.id }))?.status === "available";
      expect(isThere).toBe(changed.status === "fulfilled");
      expect(swept).toMatchObject({ value: !isThere });
    }
  });
});

describe("shred", () => {
  test("deletes every grant and the meta, and turns all chunks into dead objects", async () => {
    const file = await newFile(s, 12);
    const link = await newLink(s, file.id);
    const before = await objectCount(s, "dead_objects");
    expect(await s.files.shred(file.id, "asked")).toBe(true);
    expect(await s.files.find({ id: file.id })).toMatchObject({ status: "gone", meta: null });
    expect(await s.grants.find({ id: link.id, kind: "link" })).toBeNull();
    expect(await s.grants.find({ passwordOf: file.id })).toBeNull();
    expect(await objectCount(s, "dead_objects")).toBe(before + 36);
    expect(await s.files.shred(file.id, "asked")).toBe(true);
    expect(await s.files.shred(newUpload().id, "asked")).toBe(false);
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
    await expect(s.files.shred(file.id, "asked")).rejects.toThrow("died");
    await run(s, "drop trigger die on chunks; drop function die");
    expect(await s.chunkMap.chunks(file.id, 0, 99)).not.toHaveLength(0);
    expect(await s.grants.find({ passwordOf: file.id })).toBeNull();

    expect(await endingFiles(s)).toContain(file.id);
    expect(await s.files.shred(file.id, "asked")).toBe(true);
    expect(await s.chunkMap.chunks(file.id, 0, 99)).toEqual([]);
    expect(await endingFiles(s)).not.toContain(file.id);
  });

  test("by many at once moves every chunk once", async () => {
    const file = await newFile(s, 20);
    const before = await objectCount(s, "dead_objects");
    expect(await times(8, () => s.files.shred(file.id, "asked"))).toEqual(Array(8).fill(true));
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
    await expect(s.files.shred(file.id, "asked")).rejects.toMatchObject({ code: "FILE_RETAINED" });
    expect(await endingFiles(s)).not.toContain(file.id);
    expect(await s.files.shred(file.id, "over")).toBe(false);
    await run(s, `update files set retain_until = now() where id = '${file.id}'`);
    expect(await endingFiles(s)).toContain(file.id);
    expect(await s.files.shred(file.id, "asked")).toBe(true);
  });

  test("and a link made at the same moment: no grant is left behind", async () => {
    for (let round = 0; round < 20; round++) {
      const file = await newFile(s);
      const link = newGrant(file.id, "link");
      const { id: password } = some(await s.grants.find({ passwordOf: file.id }));
      await Promise.allSettled([s.grants.add(link, password), s.files.shred(file.id, "asked")]);
      expect(await s.grants.find({ id: link.id, kind: "link" })).toBeNull();
    }
  });
});
