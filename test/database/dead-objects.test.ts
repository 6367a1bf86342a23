import { afterEach, describe, expect, test } from "@jest/globals";
import type { ObjectRef } from "../../src/core/model.js";
import { MoveRows } from "../../src/database/moves.js";
import {
  append,
  beginUpload,
  claim,
  commitOf,
  newChunk,
  newFile,
  newRef,
  newUpload,
  objectCount,
  run,
  some,
  stores,
  times,
} from "./fixture.js";

const s = stores();

afterEach(() => run(s, "truncate uploads, files, grants, chunks, pending_objects, dead_objects"));

const keysOf = (refs: readonly ObjectRef[]) => refs.map(ref => `${ref.bucketId} ${ref.objectKey}`).sort();

test("an object that lost its writer can be spared, and is found again when that is over", async () => {
  const upload = await beginUpload(s);
  const refs = [newRef(), newRef()];
  await s.chunkMap.reserve(upload.id, upload.lease, refs);
  await s.uploads.end(upload.id, "abandoned");
  await s.lost.spare(refs.slice(0, 1), 60);
  expect(keysOf(await claim(s, 10))).toEqual(keysOf(refs.slice(1)));
  await run(s, "update pending_objects set spared_until = now()");
  expect(keysOf(await claim(s, 10))).toEqual(keysOf(refs.slice(0, 1)));
});

describe("a lost object", () => {
  test("tells its upload, for as long as that is not known to be a file", async () => {
    const upload = await beginUpload(s);
    await s.chunkMap.reserve(upload.id, upload.lease, [newRef()]);
    await s.uploads.end(upload.id, "abandoned");
    const { parityChunks } = upload.parity;
    expect(await s.lost.find(10, 0)).toMatchObject([
      { upload: { id: upload.id, parityChunks }, replaces: null },
    ]);
    await run(s, "truncate uploads");
    expect(await s.lost.find(10, 0)).toMatchObject([{ upload: { id: upload.id, parityChunks: 0 } }]);
    const file = await newFile(s);
    await run(s, `update pending_objects set upload_id = '${file.id}'`);
    expect(await s.lost.find(10, 0)).toMatchObject([{ upload: null }]);
    await run(s, "truncate uploads"); // which are forgotten a month after
    expect(await s.lost.find(10, 0)).toMatchObject([{ upload: null }]);
  });

  test("tells the object that has the place it was to take", async () => {
    const file = await newFile(s);
    const [chunk] = await s.chunkMap.chunks(file.id, 0, 0);
    const { stripe, shard, bucketId, objectKey } = some(chunk);
    const moves = new MoveRows(s.database);
    await moves.reserve(newRef(), -1, { fileId: file.id, stripe, shard });
    expect(await s.lost.find(10, 0)).toMatchObject([{ upload: null, replaces: { bucketId, objectKey } }]);
    await s.files.shred(file.id, "asked");
    expect(await s.lost.find(10, 0)).toMatchObject([{ upload: null, replaces: null }]);
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
        const claimed = await claim(s, 17);
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
    const claimed = await claim(s, 10);
    expect(claimed).toHaveLength(3);
    expect(await claim(s, 10)).toEqual([]);
    await s.dead.forget(claimed.slice(0, 1));
    await run(s, "update dead_objects set claimed_until = claimed_until - interval '6 minutes'");
    expect(keysOf(await claim(s, 10))).toEqual(keysOf(claimed.slice(1)));
  });

  test("leaves pending objects alone that a writer may still commit", async () => {
    const upload = await beginUpload(s);
    const chunk = newChunk(0, 0);
    await s.chunkMap.reserve(upload.id, upload.lease, [chunk]);
    expect(await claim(s, 10)).toEqual([]);
    expect(await s.chunkMap.commit(commitOf(upload, 1000, [chunk]))).toBe(true);
  });

  test("takes pending objects of a lease that is over, once their grace is", async () => {
    const upload = await beginUpload(s);
    const [ref, chunk] = [newRef(), newChunk(0, 0)];
    await s.chunkMap.reserve(upload.id, upload.lease, [ref]);
    const next = await s.uploads.lease(upload.id, { offset: 0 });
    await s.chunkMap.reserve(upload.id, next?.lease ?? 0, [chunk]);
    expect(await claim(s, 10, 3600)).toEqual([]);
    expect(await claim(s, 10)).toEqual([ref]);
    expect(await objectCount(s, "pending_objects")).toBe(1);
  });

  test("takes pending objects whose upload nobody knows", async () => {
    const ref = newRef();
    await s.chunkMap.reserve(newUpload().id, 1, [ref]);
    expect(await claim(s, 10)).toEqual([ref]);
  });

  test("never names an object of a file that is alive", async () => {
    await newFile(s, 5);
    expect(await claim(s, 100)).toEqual([]);
  });
});

test("forget takes nothing, unknown objects and the same ones again", async () => {
  await s.dead.forget([]);
  await s.dead.forget([newRef()]);
});
