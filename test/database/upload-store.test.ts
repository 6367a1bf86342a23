import { describe, expect, test } from "@jest/globals";
import {
  append,
  beginUpload,
  commitOf,
  finish,
  finishEvents,
  newChunk,
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

describe("create", () => {
  test("gives back what it was given, with the database's times", async () => {
    const asked = newUpload({ length: 5_000_000_000, terms: { expiresInSeconds: 60, maxDownloads: 3 } });
    const upload = await s.uploads.create(asked, [newGrant(asked.id, "password")]);
    const { tokenId, ttlSeconds, ...same } = asked;
    expect(upload).toMatchObject({
      ...same,
      floeHeader: new Uint8Array(asked.floeHeader),
      meta: new Uint8Array(asked.meta),
    });
    expect(upload).toMatchObject({
      lease: 0,
      offset: 0,
      tail: null,
      stage: "receiving",
      isExpired: false,
      hash: null,
    });
    expect(upload.expiresAt.getTime() - upload.createdAt.getTime()).toBe(ttlSeconds * 1000);
    expect(await s.uploads.find(tokenId)).toEqual({ ...upload, wrap: null });
  });

  test("gives the wrap to whoever has the token, until the upload ends", async () => {
    const asked = newUpload();
    const grant = newGrant(asked.id, "upload", { id: asked.tokenId });
    await s.uploads.create(asked, [newGrant(asked.id, "password"), grant]);
    const wrap = new Uint8Array(grant.wrap);
    expect(await s.uploads.find(asked.tokenId)).toMatchObject({ wrap });
    expect(await s.uploads.lease(asked.id, { offset: 0 })).toMatchObject({ lease: 1, wrap });
    await s.uploads.end(asked.id, "abandoned");
    expect(await s.uploads.find(asked.tokenId)).toMatchObject({ stage: "abandoned", wrap: null });
  });

  test("writes nothing when a grant cannot be written", async () => {
    const upload = newUpload();
    const grants = [newGrant(upload.id, "password"), newGrant(upload.id, "password")];
    await expect(s.uploads.create(upload, grants)).rejects.toThrow();
    expect(await s.uploads.find(upload.tokenId)).toBeNull();
  });

  test("refuses a token that is in use", async () => {
    const first = newUpload();
    await s.uploads.create(first, []);
    await expect(s.uploads.create(newUpload({ tokenId: first.tokenId }), [])).rejects.toThrow(/unique/);
  });
});

describe("lease", () => {
  test("rises with each writer", async () => {
    const { id } = await s.uploads.create(newUpload(), []);
    expect((await s.uploads.lease(id, { offset: 0 }))?.lease).toBe(1);
    expect((await s.uploads.lease(id, { offset: 0 }))?.lease).toBe(2);
  });

  test("is another number for each of 50 who take it at once", async () => {
    const { id } = await s.uploads.create(newUpload(), []);
    const leases = await times(50, () => s.uploads.lease(id, { offset: 0 }));
    expect(new Set(leases.map(upload => upload?.lease)).size).toBe(50);
  });

  test("declares the length once, never another one, and never one below the offset", async () => {
    const { id } = await s.uploads.create(newUpload(), []);
    expect((await s.uploads.lease(id, { offset: 0, length: 10 }))?.length).toBe(10);
    expect((await s.uploads.lease(id, { offset: 0, length: 10 }))?.length).toBe(10);
    expect(await s.uploads.lease(id, { offset: 0, length: 11 })).toBeNull();
    const open = await beginUpload(s);
    await append(s, commitOf(open, 2000, [newChunk(0, 0)]));
    expect(await s.uploads.lease(open.id, { offset: 2000, length: 1999 })).toBeNull();
  });

  test("is refused at another offset, after the expiry, and for an ended or unknown upload", async () => {
    const upload = await beginUpload(s);
    expect(await s.uploads.lease(upload.id, { offset: 1 })).toBeNull();
    const late = await s.uploads.create(newUpload({ ttlSeconds: 0 }), []);
    expect(late.isExpired).toBe(true);
    expect(await s.uploads.lease(late.id, { offset: 0 })).toBeNull();
    await s.uploads.end(upload.id, "abandoned");
    expect(await s.uploads.lease(upload.id, { offset: 0 })).toBeNull();
    expect(await s.uploads.lease(newUpload().id, { offset: 0 })).toBeNull();
  });
});

describe("end", () => {
  test("turns chunks and tail into dead objects, deletes the grants, and leaves pending objects their grace", async () => {
    const upload = await beginUpload(s);
    const tail = { ...newRef(4), plainBytes: 17 };
    const chunks = [newChunk(0, 0), newChunk(0, 1), newChunk(0, 2)];
    await append(s, commitOf(upload, 2017, chunks, tail));
    await s.chunkMap.reserve(upload.id, upload.lease, [newRef(5)]);
    const [deadBefore, pendingBefore] = [
      await objectCount(s, "dead_objects"),
      await objectCount(s, "pending_objects"),
    ];

    expect(await s.uploads.end(upload.id, "failed")).toBe(true);
    expect(await s.chunkMap.chunks(upload.id, 0, 9)).toEqual([]);
    expect(await objectCount(s, "dead_objects")).toBe(deadBefore + 4);
    expect(await objectCount(s, "pending_objects")).toBe(pendingBefore);
    expect(await s.grants.find({ passwordOf: upload.id })).toBeNull();
  });

  test("as expired is for those whose time is over", async () => {
    const upload = await beginUpload(s);
    expect(await s.uploads.end(upload.id, "expired")).toBe(false);
    await run(s, `update uploads set expires_at = now() where id = '${upload.id}'`);
    expect(await s.uploads.end(upload.id, "expired")).toBe(true);
  });

  test("is done by one of many, and never to a finished upload", async () => {
    const upload = await beginUpload(s);
    const ended = await times(10, () => s.uploads.end(upload.id, "failed"));
    expect(ended.filter(Boolean)).toHaveLength(1);

    const whole = await beginUpload(s);
    expect(await finish(s, whole)).not.toBeNull();
    expect(await s.uploads.end(whole.id, "abandoned")).toBe(false);
    expect(await s.grants.find({ passwordOf: whole.id })).not.toBeNull();
  });

  test("and a finish at the same moment: exactly one of them happens", async () => {
    for (let round = 0; round < 20; round++) {
      const upload = await beginUpload(s);
      const [ended, file] = await Promise.all([s.uploads.end(upload.id, "abandoned"), finish(s, upload)]);
      expect(ended).toBe(file === null);
      expect(await finishEvents(s, upload.id)).toBe(ended ? 0 : 1);
    }
  });
});

test("a number beyond 2^53 is refused, not rounded", async () => {
  const upload = newUpload({ length: 5 });
  await s.uploads.create(upload, []);
  await run(s, `update uploads set length = 9007199254740993 where id = '${upload.id}'`);
  await expect(s.uploads.find(upload.tokenId)).rejects.toThrow(RangeError);
});

test("bytes are of their own, so that handing them to a worker takes no other row along", async () => {
  const upload = await beginUpload(s);
  const found = some(await s.uploads.lease(upload.id, { offset: 0 }));
  expect(found.floeHeader.buffer.byteLength).toBe(74);
});
