import { describe, expect, test } from "@jest/globals";
import {
  append,
  beginUpload,
  commitOf,
  newChunk,
  newRef,
  objectCount,
  objectsOf,
  some,
  stores,
  times,
} from "./fixture.js";

const s = stores();

describe("commit", () => {
  test("moves the offset, swaps the tail and gives the chunks back in order", async () => {
    const upload = await beginUpload(s);
    const first = { ...newRef(3), plainBytes: 5 };
    const chunks = [newChunk(1, 0), newChunk(0, 1), newChunk(0, 0)];
    expect(await append(s, commitOf(upload, 3005, chunks, first))).toBe(true);
    const moved = some(await s.uploads.lease(upload.id, { offset: 3005 }));
    expect(moved.tail).toEqual(first);

    const stored = await s.chunkMap.chunks(upload.id, 0, 1);
    const inOrder = [chunks[2], chunks[1], chunks[0]].map(c => ({
      ...c,
      digest: new Uint8Array(some(c).digest),
    }));
    expect(stored).toEqual(inOrder);
    expect(await s.chunkMap.chunks(upload.id, 1, 1)).toHaveLength(1);

    const deadBefore = await objectCount(s, "dead_objects");
    expect(await append(s, commitOf(moved, 1000, [newChunk(1, 1)]))).toBe(true);
    expect((await s.uploads.lease(upload.id, { offset: 4005 }))?.tail).toBeNull();
    expect(await objectCount(s, "dead_objects")).toBe(deadBefore + 1);
    expect(await objectCount(s, "pending_objects")).toBe(0);
  });

  test("is won by exactly one of 50 that stand at one offset", async () => {
    const upload = await beginUpload(s);
    const commits = Array.from({ length: 50 }, () => commitOf(upload, 1000, [newChunk(0, 0)]));
    await Promise.all(commits.map(c => s.chunkMap.reserve(c.uploadId, c.lease, c.chunks)));
    const won = await Promise.all(commits.map(c => s.chunkMap.commit(c)));
    expect(won.filter(Boolean)).toHaveLength(1);
    const [row] = await s.chunkMap.chunks(upload.id, 0, 0);
    expect(row?.objectKey).toBe(commits[won.indexOf(true)]?.chunks[0]?.objectKey);
    expect((await s.uploads.lease(upload.id, { offset: 1000 }))?.offset).toBe(1000);
  });

  test("fails under a lease that is over, and leaves everything as it was", async () => {
    const old = await beginUpload(s);
    const commit = commitOf(old, 1000, [newChunk(0, 0)]);
    await s.chunkMap.reserve(old.id, old.lease, commit.chunks);
    const next = some(await s.uploads.lease(old.id, { offset: 0 }));
    const pending = await objectCount(s, "pending_objects");
    expect(await s.chunkMap.commit(commit)).toBe(false);
    expect(await objectCount(s, "pending_objects")).toBe(pending);
    expect(await s.chunkMap.chunks(old.id, 0, 0)).toEqual([]);
    expect(await append(s, commitOf(next, 1000, [newChunk(0, 0)]))).toBe(true);
  });

  test("against a lease taken at the same moment: the new writer sees the offset or the old one has lost", async () => {
    for (let round = 0; round < 20; round++) {
      const old = await beginUpload(s);
      const commit = commitOf(old, 1000, [newChunk(0, 0)]);
      await s.chunkMap.reserve(old.id, old.lease, commit.chunks);
      const [done, taken] = await Promise.all([
        s.chunkMap.commit(commit),
        s.uploads.lease(old.id, { offset: 0 }),
      ]);
      expect(done).toBe(taken === null);
    }
  });

  test.each([
    ["an object that was not reserved", async () => [newChunk(0, 0)], /were pending/],
    ["a chunk number that is taken", async () => [newChunk(0, 0), newChunk(0, 0)], /chunks_.*pkey|unique/],
  ])("throws for %s, and rolls back", async (name, chunksOf, message) => {
    const upload = await beginUpload(s);
    const commit = commitOf(upload, 1000, await chunksOf());
    if (!name.includes("not reserved")) await s.chunkMap.reserve(upload.id, upload.lease, objectsOf(commit));
    await expect(s.chunkMap.commit(commit)).rejects.toThrow(message);
    expect((await s.uploads.lease(upload.id, { offset: 0 }))?.offset).toBe(0);
    expect(await s.chunkMap.chunks(upload.id, 0, 9)).toEqual([]);
  });

  test("takes only objects reserved under its own lease", async () => {
    const old = await beginUpload(s);
    const commit = commitOf(old, 1000, [newChunk(0, 0)]);
    await s.chunkMap.reserve(old.id, old.lease, commit.chunks);
    const next = some(await s.uploads.lease(old.id, { offset: 0 }));
    await expect(s.chunkMap.commit({ ...commit, lease: next.lease })).rejects.toThrow(/were pending/);
  });

  test("refuses to go beyond the declared length", async () => {
    const upload = await beginUpload(s, { length: 999 });
    await expect(append(s, commitOf(upload, 1000, [newChunk(0, 0)]))).rejects.toThrow(/check/);
  });

  test("takes a thousand chunks in one go", async () => {
    const upload = await beginUpload(s);
    const chunks = Array.from({ length: 1000 }, (_, i) => newChunk(Math.floor(i / 3), i % 3));
    expect(await append(s, commitOf(upload, 1_000_000, chunks))).toBe(true);
    expect(await s.chunkMap.chunks(upload.id, 0, 1000)).toHaveLength(1000);
  });
});

describe("reserve", () => {
  test("refuses an object key that is known, so that no object is named twice", async () => {
    const upload = await beginUpload(s);
    const ref = newRef();
    await s.chunkMap.reserve(upload.id, 1, [ref]);
    await expect(s.chunkMap.reserve(upload.id, 1, [ref])).rejects.toThrow(/unique/);
  });

  test("takes nothing and many at once", async () => {
    const upload = await beginUpload(s);
    await s.chunkMap.reserve(upload.id, 1, []);
    await times(20, () => s.chunkMap.reserve(upload.id, 1, [newRef(), newRef(2)]));
  });
});
