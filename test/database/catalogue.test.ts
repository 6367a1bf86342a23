import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { FileListFilter, FileOrder, PageRequest } from "../../src/core/catalogue.js";
import type { StoredFile, Upload } from "../../src/core/model.js";
import { beginUpload, newFile, newUpload, run, some, stores } from "./fixture.js";
import type { Read } from "./paging.js";
import { ALL, backward, forward } from "./paging.js";

const s = stores();
const NEWEST_FIRST: FileOrder = { field: "createdAt", direction: "desc" };
const FIELDS = ["createdAt", "expiresAt", "size", "downloadCount"] as const;
const ORDERS = FIELDS.flatMap(field => (["asc", "desc"] as const).map(direction => ({ field, direction })));

const read =
  (filter: FileListFilter = {}, order = NEWEST_FIRST): Read<StoredFile> =>
  page =>
    s.catalogue.files(page, filter, order);
const idsOf = (files: readonly { id: string }[]) => files.map(({ id }) => id);
const whole = async (filter: FileListFilter = {}, order = NEWEST_FIRST) =>
  (await read(filter, order)(ALL)).entries.map(entry => entry.node);

/** What decides about a file's place, drawn from few values: many files are equal in all of it. */
interface Facts {
  readonly day: number;
  readonly expiresInDays: number | null;
  readonly size: number;
  readonly downloads: number;
  readonly status: "available" | "degraded" | "gone";
  readonly bucketId: number;
}

const facts: fc.Arbitrary<Facts> = fc.record({
  day: fc.nat(3),
  expiresInDays: fc.option(fc.integer({ min: 1, max: 3 })),
  size: fc.constantFrom(0, 1, 2 ** 40),
  downloads: fc.nat(2),
  status: fc.constantFrom("available", "degraded", "gone"),
  bucketId: fc.integer({ min: 1, max: 2 }),
});

const DAY_ZERO = Date.UTC(2026, 0, 1);
const at = (day: number) => new Date(DAY_ZERO + day * 86_400_000);

async function insert(rows: readonly Facts[]): Promise<void> {
  if (rows.length === 0) return;
  const named = rows.map(row => ({ ...row, id: randomUUID() }));
  const files = named.map(({ id, size, status, day, expiresInDays, downloads }) => {
    const expiresAt =
      expiresInDays === null ? "null" : `now() + interval '${expiresInDays} days 0.1234567 seconds'`;
    const goneAt = status === "gone" ? "now()" : "null";
    return `('${id}', sha256('${id}'), '', sha256(''), ${size}, 2, 1, '${status}', '${at(day).toISOString()}',
      ${expiresAt}, ${downloads}, ${goneAt}::timestamptz)`;
  });
  await run(
    s,
    `insert into files (id, hash, core, seal, plain_bytes, data_chunks, parity_chunks, status, created_at, expires_at,
      download_count, gone_at) values ${files.join(", ")}`,
  );
  const chunks = named.map(
    ({ id, bucketId }) => `('${id}', 0, 0, ${bucketId}, gen_random_uuid(), 1024, sha256(''))`,
  );
  await run(
    s,
    `insert into chunks (file_id, stripe, shard, bucket_id, object_key, stored_bytes, digest) values ${chunks.join(", ")}`,
  );
}

const filter: fc.Arbitrary<FileListFilter> = fc.record(
  {
    status: fc.subarray(["available", "degraded", "gone"]),
    createdAfter: fc.nat(2).map(day => at(day)),
    createdBefore: fc.integer({ min: 1, max: 4 }).map(day => at(day)),
    sizeAtLeast: fc.nat(2),
    sizeAtMost: fc.constantFrom(0, 1, 2 ** 41),
    bucketId: fc.integer({ min: 1, max: 3 }),
  },
  { requiredKeys: [] },
);

describe("files", () => {
  const question = fc.record({
    filter,
    order: fc.constantFrom(...ORDERS),
    limit: fc.integer({ min: 1, max: 9 }),
  });

  test("pages forward, and pages backward, are the whole list, in any order and under any filter", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(facts, { maxLength: 25 }),
        fc.array(question, { maxLength: 8 }),
        async (rows, asked) => {
          await run(s, "truncate files, chunks");
          await insert(rows);
          for (const { filter, order, limit } of asked) {
            const all = await whole(filter, order);
            expect(await forward(read(filter, order), limit)).toEqual(all);
            expect(await backward(read(filter, order), limit)).toEqual(all);
            expect(idsOf(all)).toEqual(idsOf(sorted(all, order)));
            expect(await (await read(filter, order)({ ...ALL, limit })).totalCount()).toBe(all.length);
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  test("that are there all the while come once each, while others are added and deleted between pages", async () => {
    const change = fc.record({ isAdded: fc.boolean(), facts, nth: fc.nat(50) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(facts, { minLength: 5, maxLength: 20 }),
        fc.array(change, { maxLength: 12 }),
        fc.constantFrom(...ORDERS),
        fc.boolean(),
        async (rows, changes, order, isForward) => {
          await run(s, "truncate files, chunks");
          await insert(rows);
          const before = idsOf(await whole({}, order));
          const left = [...changes];
          const between = async () => {
            const next = left.shift();
            if (next?.isAdded) await insert([next.facts]);
            else if (next) await run(s, `delete from files where id = '${before[next.nth % before.length]}'`);
          };
          const paged = idsOf(await (isForward ? forward : backward)(read({}, order), 2, between));
          expect(new Set(paged).size).toBe(paged.length);
          const after = new Set(idsOf(await whole({}, order)));
          const stayed = before.filter(id => after.has(id));
          expect(paged.filter(id => stayed.includes(id))).toEqual(stayed);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("are filtered as they are shown: what has expired is gone, swept or not, unless it is retained", async () => {
    await run(s, "truncate files, chunks");
    const [late, kept, swept] = [await newFile(s), await newFile(s), await newFile(s)];
    await run(s, `update files set expires_at = now() where id in ('${late.id}', '${kept.id}')`);
    await run(s, `update files set retain_until = now() + interval '1 day' where id = '${kept.id}'`);
    await s.files.shred(swept.id, "asked");
    for (const status of [["gone"], ["available"], ["available", "gone"], ["degraded"]] as const) {
      const found = await whole({ status });
      expect(new Set(idsOf(found))).toEqual(
        new Set([
          ...(status.some(one => one === "gone") ? [late.id, swept.id] : []),
          ...(status.some(one => one === "available") ? [kept.id] : []),
        ]),
      );
      expect(found.every(file => status.some(one => one === file.status))).toBe(true);
    }
  });

  test("are found by the start of the hash, in any number of digits; the total is of the filter", async () => {
    const { hash, id } = await newFile(s);
    for (const digits of [1, 2, 7, 64]) {
      const page = await read({ hashStartsWith: hash.slice(0, digits).toUpperCase() })(ALL);
      expect(page.entries.map(entry => entry.node.id)).toContain(id);
      expect(page.entries.every(entry => entry.node.hash.startsWith(hash.slice(0, digits)))).toBe(true);
      expect(await page.totalCount()).toBe(page.entries.length);
    }
    expect(await (await read({ status: [] })(ALL)).totalCount()).toBe(0);
    await expect(async () => read({ hashStartsWith: "%" })(ALL)).rejects.toMatchObject({
      code: "BAD_REQUEST",
    });
  });

  test("come in one order, and a cursor of another is a bad request; so is one of the uploads", async () => {
    await newFile(s);
    for (const order of ORDERS) {
      const { cursor } = some((await read({}, order)(ALL)).entries[0]);
      for (const other of ORDERS.filter(one => one !== order)) {
        await expect(read({}, other)({ ...ALL, after: cursor })).rejects.toMatchObject({
          code: "BAD_REQUEST",
        });
        await expect(read({}, other)({ ...ALL, before: cursor })).rejects.toMatchObject({
          code: "BAD_REQUEST",
        });
      }
      await expect(s.catalogue.uploads({ ...ALL, after: cursor }, {})).rejects.toMatchObject({
        code: "BAD_REQUEST",
      });
    }
  });

  const cursor = (text: string) => Buffer.from(text).toString("base64url");
  test.each([
    "",
    "x",
    "🙂",
    cursor("1 '; drop table files"),
    cursor("files createdAt desc 1 '; drop table files"),
    cursor(`files createdAt desc 999999999999999 ${newUpload().id}`),
    cursor(`files createdAt desc infinity ${newUpload().id}`),
    `${cursor(`files createdAt desc 0 ${newUpload().id}`)}=`,
    cursor(`files size desc 99999999999999999 ${newUpload().id}`),
  ])("a cursor %p that is not ours is a bad request", async after => {
    await expect(read()({ ...ALL, after })).rejects.toMatchObject({ code: "BAD_REQUEST" });
  });
});

/** What the order says, by what is shown. */
function sorted(files: readonly StoredFile[], { field, direction }: FileOrder): StoredFile[] {
  const keyOf = (file: StoredFile): number => {
    if (field === "size") return file.plainBytes;
    if (field === "downloadCount") return file.downloadCount;
    return file[field]?.getTime() ?? Number.POSITIVE_INFINITY; // never comes after all times
  };
  const ascending = [...files].sort((a, b) => {
    const [x, y] = [keyOf(a), keyOf(b)];
    return x === y ? (a.id < b.id ? -1 : 1) : x - y;
  });
  return direction === "asc" ? ascending : ascending.reverse();
}

describe("lookup", () => {
  test("finds files by hashes and by ids in the order asked, and null for what is not there", async () => {
    const [one, two] = [await newFile(s), await newFile(s)];
    const none = { hash: "0".repeat(64), id: newUpload().id };
    expect(await s.lookup.files({ hashes: [two.hash, none.hash, one.hash, two.hash] })).toEqual([
      two,
      null,
      one,
      two,
    ]);
    expect(await s.lookup.files({ ids: [two.id, none.id, one.id] })).toEqual([two, null, one]);
    expect(await s.lookup.files({ ids: [] })).toEqual([]);
  });
});

describe("uploads", () => {
  const t = stores();
  const read: Read<Upload> = page => t.catalogue.uploads(page, {});
  const all = async () => (await read(ALL)).entries.map(entry => entry.node);

  beforeAll(async () => {
    for (let i = 0; i < 12; i++) await beginUpload(t);
  });

  test("pages forward, and pages backward, are the whole list, newest first, also of one millisecond", async () => {
    const sorted = (await all()).sort((a, b) => +b.createdAt - +a.createdAt || (a.id < b.id ? 1 : -1));
    expect(sorted).toHaveLength(12);
    expect(await all()).toEqual(sorted);
    for (const limit of [1, 5, 12, 13]) {
      expect(await forward(read, limit)).toEqual(sorted);
      expect(await backward(read, limit)).toEqual(sorted);
    }
    await run(t, "update uploads set created_at = date_trunc('day', now())");
    const atOnce = await all();
    expect(await forward(read, 5)).toEqual(atOnce);
    expect(await backward(read, 5)).toEqual(atOnce);
  });

  test("are of the stage that the clock says, whether or not the sweep has come by", async () => {
    const begin = () => t.uploads.create(newUpload({ ttlSeconds: 0 }), []);
    const [late, swept, open] = [await begin(), await begin(), await beginUpload(t)];
    await t.uploads.end(swept.id, "expired");
    const of = async (page: PageRequest, ...stage: Upload["stage"][]) => t.catalogue.uploads(page, { stage });
    const idsOf = async (...stage: Upload["stage"][]) =>
      (await of(ALL, ...stage)).entries.map(({ node }) => node.id);
    const expired = await idsOf("expired");
    expect(new Set(expired)).toEqual(new Set([late.id, swept.id]));
    expect(await idsOf("receiving")).toContain(open.id);
    expect(await idsOf("receiving")).toHaveLength(13);
    expect(await idsOf("receiving", "expired")).toHaveLength(15);
    expect(await idsOf("failed", "abandoned")).toEqual([]);
    expect(await idsOf()).toEqual([]);
    expect(await (await of({ ...ALL, limit: 2 }, "receiving")).totalCount()).toBe(13);
  });
});
