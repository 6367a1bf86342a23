import { beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Upload } from "../../src/core/model.js";
import type { Page, PageRequest } from "../../src/core/catalogue.js";
import { beginUpload, newFile, newUpload, run, some, stores } from "./fixture.js";

const s = stores();
const ALL: PageRequest = { limit: 1000, after: null, before: null, backward: false };

type Read<T> = (page: PageRequest) => Promise<Page<T>>;

async function forward<T>(read: Read<T>, limit: number, between?: () => Promise<unknown>): Promise<T[]> {
  const nodes: T[] = [];
  for (let after: string | null = null; ; ) {
    const page: Page<T> = await read({ limit, after, before: null, backward: false });
    nodes.push(...page.entries.map(entry => entry.node));
    expect(page.hasPrevious).toBe(after !== null);
    if (!page.hasNext) return nodes;
    after = some(page.entries.at(-1)).cursor;
    await between?.();
  }
}

async function backward<T>(read: Read<T>, limit: number): Promise<T[]> {
  const nodes: T[] = [];
  for (let before: string | null = null; ; ) {
    const page: Page<T> = await read({ limit, after: null, before, backward: true });
    nodes.unshift(...page.entries.map(entry => entry.node));
    expect(page.hasNext).toBe(before !== null);
    if (!page.hasPrevious) return nodes;
    before = some(page.entries[0]).cursor;
  }
}

describe("files", () => {
  beforeAll(async () => {
    for (let i = 0; i < 23; i++) await newFile(s);
    // Many of one millisecond: only their ids tell them apart.
    await run(s, "update files set created_at = date_trunc('second', created_at)");
  });

  test("pages forward, and pages backward, are the whole list, newest first", async () => {
    const read: Read<{ id: string; createdAt: Date }> = page => s.catalogue.files(page, {});
    const whole = (await read(ALL)).entries.map(entry => entry.node);
    expect(whole).toHaveLength(23);
    const sorted = [...whole].sort((a, b) => +b.createdAt - +a.createdAt || (a.id < b.id ? 1 : -1));
    expect(whole).toEqual(sorted);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 25 }), async limit => {
        expect(await forward(read, limit)).toEqual(whole);
        expect(await backward(read, limit)).toEqual(whole);
      }),
      { numRuns: 10 },
    );
  });

  test("inserts between two pages neither hide nor repeat what was there", async () => {
    const read: Read<{ id: string }> = page => s.catalogue.files(page, {});
    const whole = (await read(ALL)).entries.map(entry => entry.node.id);
    const paged = await forward(read, 4, () => newFile(s));
    expect(paged.map(file => file.id)).toEqual(whole);
  });

  test("are filtered by the start of the hash, in any number of digits, and by status", async () => {
    const { hash, id } = await newFile(s);
    for (const digits of [1, 2, 7, 64]) {
      const page = await s.catalogue.files(ALL, { hashStartsWith: hash.slice(0, digits).toUpperCase() });
      expect(page.entries.map(entry => entry.node.id)).toContain(id);
      expect(page.entries.every(entry => entry.node.hash.startsWith(hash.slice(0, digits)))).toBe(true);
      expect(page.totalCount).toBe(page.entries.length);
    }
    await s.files.shred(id);
    const gone = await s.catalogue.files(ALL, { status: ["gone"] });
    expect(gone.entries.map(entry => entry.node.id)).toEqual([id]);
    expect((await s.catalogue.files(ALL, { status: [] })).totalCount).toBe(0);
    await expect(async () => s.catalogue.files(ALL, { hashStartsWith: "%" })).rejects.toMatchObject({
      code: "BAD_REQUEST",
    });
  });

  test.each(["", "x", Buffer.from("1 '; drop table files").toString("base64url"), "🙂"])(
    "a cursor %p that is not ours is a bad request",
    async after => {
      await expect(s.catalogue.files({ ...ALL, after }, {})).rejects.toMatchObject({ code: "BAD_REQUEST" });
      await expect(s.catalogue.chunks(newUpload().id, { ...ALL, after })).rejects.toMatchObject({
        code: "BAD_REQUEST",
      });
    },
  );
});

describe("chunks", () => {
  test("are those of one file, in order, both ways", async () => {
    const [file] = [await newFile(s, 5), await newFile(s, 2)];
    const read = (page: PageRequest) => s.catalogue.chunks(file.id, page);
    const whole = await read(ALL);
    expect(whole.totalCount).toBe(15);
    const nodes = whole.entries.map(entry => entry.node);
    expect(nodes.map(({ stripe, shard }) => [stripe, shard])).toEqual(
      Array.from({ length: 15 }, (_, i) => [Math.floor(i / 3), i % 3]),
    );
    expect(nodes[0]).toMatchObject({
      fileId: file.id,
      state: "stored",
      lastVerifiedAt: null,
      storedBytes: 1024,
    });
    const [record] = await s.chunkMap.chunks(file.id, 0, 0);
    expect(nodes[0]).toMatchObject(some(record));
    for (const limit of [1, 2, 4, 15, 16]) {
      expect(await forward(read, limit)).toEqual(nodes);
      expect(await backward(read, limit)).toEqual(nodes);
    }
  });
});

describe("uploads", () => {
  const t = stores();

  test("pages forward, and pages backward, are the whole list, newest first, also of one millisecond", async () => {
    const read: Read<Upload> = page => t.catalogue.uploads(page, {});
    for (let i = 0; i < 12; i++) await beginUpload(t);
    const whole = (await read(ALL)).entries.map(entry => entry.node);
    expect(whole).toHaveLength(12);
    const sorted = [...whole].sort((a, b) => +b.createdAt - +a.createdAt || (a.id < b.id ? 1 : -1));
    expect(whole).toEqual(sorted);
    for (const limit of [1, 5, 12, 13]) {
      expect(await forward(read, limit)).toEqual(whole);
      expect(await backward(read, limit)).toEqual(whole);
    }
    await run(t, "update uploads set created_at = date_trunc('day', now())");
    const atOnce = (await read(ALL)).entries.map(entry => entry.node);
    expect(await forward(read, 5)).toEqual(atOnce);
    expect(await backward(read, 5)).toEqual(atOnce);
  });

  test("are of the stage that the clock says, whether or not the sweep has come by", async () => {
    const late = await t.uploads.create(newUpload({ ttlSeconds: 0 }), []);
    const [swept, open] = [await beginUpload(t), await beginUpload(t)];
    await t.uploads.end(swept.id, "expired");
    const idsOf = async (...stage: Upload["stage"][]) =>
      (await t.catalogue.uploads(ALL, { stage })).entries.map(({ node }) => node.id);
    const expired = await idsOf("expired");
    expect(new Set(expired)).toEqual(new Set([late.id, swept.id]));
    expect(await idsOf("receiving")).toContain(open.id);
    expect(await idsOf("receiving")).toHaveLength(13);
    expect(await idsOf("receiving", "expired")).toHaveLength(15);
    expect(await idsOf("failed", "abandoned")).toEqual([]);
    expect(await idsOf()).toEqual([]);
    expect((await t.catalogue.uploads({ ...ALL, limit: 2 }, { stage: ["receiving"] })).totalCount).toBe(13);
  });
});
