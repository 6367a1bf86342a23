import { afterEach, describe, expect, test } from "@jest/globals";
import type { ObjectRef } from "../../src/core/model.js";
import {
  append,
  beginUpload,
  commitOf,
  newChunk,
  newFile,
  newRef,
  newUpload,
  objectCount,
  run,
  stores,
  times,
} from "./fixture.js";

const s = stores();
const NO_GRACE = 0;

afterEach(() => run(s, "truncate uploads, files, grants, chunks, pending_objects, dead_objects"));

const keysOf = (refs: readonly ObjectRef[]) => refs.map(ref => `${ref.bucketId} ${ref.objectKey}`).sort();

describe("expired", () => {
  test("names receiving uploads and living files past their time, and no others", async () => {
    const late = await s.uploads.create(newUpload({ ttlSeconds: 0 }), []);
    const ended = await s.uploads.create(newUpload({ ttlSeconds: 0 }), []);
    await s.uploads.end(ended.id, "abandoned");
    await beginUpload(s);
    const oldFile = await newFile(s);
    await run(s, `update files set expires_at = now() where id = '${oldFile.id}'`);
    await newFile(s, 1, { expiresInSeconds: 60 });
    expect(await s.dead.expired(10)).toEqual({ uploads: [late.id], files: [oldFile.id] });
    await s.files.shred(oldFile.id, "asked");
    expect((await s.dead.expired(10)).files).toEqual([]);
  });

  test("names no more than asked for", async () => {
    await times(5, () => s.uploads.create(newUpload({ ttlSeconds: 0 }), []));
    expect((await s.dead.expired(3)).uploads).toHaveLength(3);
  });

  test("forgets ended uploads after a month, not before, and never receiving ones", async () => {
    const [recent, old, receiving] = [newUpload({ ttlSeconds: 0 }), newUpload(), newUpload()];
    for (const upload of [recent, old, receiving]) await s.uploads.create(upload, []);
    for (const upload of [recent, old]) await s.uploads.end(upload.id, "abandoned");
    await run(
      s,
      `update uploads set expires_at = now() - interval '31 days' where id in ('${old.id}', '${receiving.id}')`,
    );
    await s.dead.expired(10);
    expect(await s.uploads.find(old.tokenId)).toBeNull();
    expect(await s.uploads.find(recent.tokenId)).not.toBeNull();
    expect(await s.uploads.find(receiving.tokenId)).not.toBeNull();
  });
});

describe("claim", () => {
  test("by 4 sweepers at once gives no object twice, and misses none", async () => {
    const upload = await beginUpload(s);
    const chunks = Array.from({ length: 300 }, (_, i) => newChunk(Math.floor(i / 3), i % 3));
    await append(s, commitOf(upload, 1000, chunks));
    const pending = Array.from({ length: 200 }, () => newRef());
    await s.chunkMap.reserve(upload.id, upload.lease, pending);
    await s.uploads.end(upload.id, "abandoned");

    const sweeper = async () => {
      const mine: ObjectRef[] = [];
      for (let empty = 0; empty < 3; ) {
        const claimed = await s.dead.claim(17, NO_GRACE);
        mine.push(...claimed);
        empty = claimed.length === 0 ? empty + 1 : 0;
      }
      return mine;
    };
    const all = keysOf((await times(4, sweeper)).flat());
    expect(all).toEqual(keysOf([...chunks, ...pending]));
  });

  test("comes back when the claim is over, unless the object was forgotten", async () => {
    const file = await newFile(s);
    await s.files.shred(file.id, "asked");
    const claimed = await s.dead.claim(10, NO_GRACE);
    expect(claimed).toHaveLength(3);
    expect(await s.dead.claim(10, NO_GRACE)).toEqual([]);
    await s.dead.forget(claimed.slice(0, 1));
    await run(s, "update dead_objects set claimed_until = claimed_until - interval '6 minutes'");
    expect(keysOf(await s.dead.claim(10, NO_GRACE))).toEqual(keysOf(claimed.slice(1)));
  });

  test("leaves pending objects alone that a writer may still commit", async () => {
    const upload = await beginUpload(s);
    const chunk = newChunk(0, 0);
    await s.chunkMap.reserve(upload.id, upload.lease, [chunk]);
    expect(await s.dead.claim(10, NO_GRACE)).toEqual([]);
    expect(await s.chunkMap.commit(commitOf(upload, 1000, [chunk]))).toBe(true);
  });

  test("takes pending objects of a lease that is over, once their grace is", async () => {
    const upload = await beginUpload(s);
    const [ref, chunk] = [newRef(), newChunk(0, 0)];
    await s.chunkMap.reserve(upload.id, upload.lease, [ref]);
    const next = await s.uploads.lease(upload.id, { offset: 0 });
    await s.chunkMap.reserve(upload.id, next?.lease ?? 0, [chunk]);
    expect(await s.dead.claim(10, 3600)).toEqual([]);
    expect(await s.dead.claim(10, NO_GRACE)).toEqual([ref]);
    expect(await objectCount(s, "pending_objects")).toBe(1);
  });

  test("takes pending objects whose upload nobody knows", async () => {
    const ref = newRef();
    await s.chunkMap.reserve(newUpload().id, 1, [ref]);
    expect(await s.dead.claim(10, NO_GRACE)).toEqual([ref]);
  });

  test("never names an object of a file that is alive", async () => {
    await newFile(s, 5);
    expect(await s.dead.claim(100, NO_GRACE)).toEqual([]);
  });
});

test("forget takes nothing, unknown objects and the same ones again", async () => {
  await s.dead.forget([]);
  await s.dead.forget([newRef()]);
});
