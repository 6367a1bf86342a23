import { afterEach, describe, expect, test } from "@jest/globals";
import { beginUpload, endingFiles, newFile, newRef, newUpload, run, stores, times } from "./fixture.js";

const s = stores();

afterEach(() => run(s, "truncate uploads, files, grants, chunks, pending_objects, dead_objects"));

describe("expired", () => {
  test("names receiving uploads and living files past their time, and no others", async () => {
    const late = await s.uploads.create(newUpload({ ttlSeconds: 0 }), []);
    const ended = await s.uploads.create(newUpload({ ttlSeconds: 0 }), []);
    await s.uploads.end(ended.id, "abandoned");
    await beginUpload(s);
    const oldFile = await newFile(s);
    await run(s, `update files set expires_at = now() where id = '${oldFile.id}'`);
    await newFile(s, 1, { expiresInSeconds: 60 });
    const { uploads, files, halfShredded } = await s.expiries.expired(10);
    expect(uploads).toEqual([{ id: late.id, parityChunks: late.parity.parityChunks }]);
    expect(files).toMatchObject([{ id: oldFile.id, hash: oldFile.hash }]);
    expect(halfShredded).toEqual([]);
    await s.files.shred(oldFile.id, "asked");
    expect(await endingFiles(s)).toEqual([]);
  });

  test("names no more than asked for", async () => {
    await times(5, () => s.uploads.create(newUpload({ ttlSeconds: 0 }), []));
    expect((await s.expiries.expired(3)).uploads).toHaveLength(3);
  });

  test("forgets ended uploads after a month, not before, and never receiving ones", async () => {
    const [recent, old, receiving] = [newUpload({ ttlSeconds: 0 }), newUpload(), newUpload()];
    for (const upload of [recent, old, receiving]) await s.uploads.create(upload, []);
    for (const upload of [recent, old]) await s.uploads.end(upload.id, "abandoned");
    await run(
      s,
      `update uploads set expires_at = now() - interval '31 days' where id in ('${old.id}', '${receiving.id}')`,
    );
    await s.expiries.expired(10);
    expect(await s.uploads.find(old.tokenId)).toBeNull();
    expect(await s.uploads.find(recent.tokenId)).not.toBeNull();
    expect(await s.uploads.find(receiving.tokenId)).not.toBeNull();
  });

  test("leaves out what is spared, until that is over", async () => {
    const upload = await s.uploads.create(newUpload({ ttlSeconds: 0 }), []);
    const file = await newFile(s);
    await run(s, "update files set expires_at = now()");
    expect(await s.expiries.spare("uploads", upload.id, 60)).toBe(true);
    expect(await s.expiries.spare("files", file.id, 60)).toBe(true);
    expect(await s.expiries.over(file.id)).toBeNull();
    expect(await s.expiries.expired(10)).toEqual({ uploads: [], files: [], halfShredded: [] });
    for (const table of ["uploads", "files"]) await run(s, `update ${table} set spared_until = now()`);
    const { uploads, files } = await s.expiries.expired(10);
    expect([...uploads, ...files].map(({ id }) => id)).toEqual([upload.id, file.id]);
    expect(await s.expiries.over(file.id)).toEqual(files[0]);
  });

  test("spares nothing that has ended", async () => {
    const upload = await s.uploads.create(newUpload({ ttlSeconds: 0 }), []);
    await s.uploads.end(upload.id, "expired");
    const file = await newFile(s);
    await s.files.shred(file.id, "asked");
    expect(await s.expiries.spare("uploads", upload.id, 60)).toBe(false);
    expect(await s.expiries.spare("files", file.id, 60)).toBe(false);
  });
});

test("an object is unknown that is none of a manifest, and neither pending nor dead", async () => {
  const [ofManifest, pending, dead, unknown] = [newRef(), newRef(), newRef(), newRef()];
  const upload = await beginUpload(s);
  await s.chunkMap.reserve(upload.id, upload.lease, [pending]);
  await run(
    s,
    `insert into manifest_objects (file_id, part, bucket_id, object_key, stored_bytes, digest)
     values ('${upload.id}', -1, ${ofManifest.bucketId}, '${ofManifest.objectKey}', 1, sha256('x'));
     insert into dead_objects (bucket_id, object_key) values (${dead.bucketId}, '${dead.objectKey}')`,
  );
  expect(await s.expiries.unknown([ofManifest, pending, dead, unknown])).toEqual([unknown]);
  expect(await s.expiries.unknown([])).toEqual([]);
});
