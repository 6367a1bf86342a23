/** What an administrator can read: lists, chunk maps in sum, totals, and anything by its id. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { randomBytes } from "node:crypto";
import pg from "pg";
import type { FilesQueryVariables } from "../../generated/graphql.js";
import {
  BucketsDocument,
  ChunkMapDocument,
  CreateDownloadLinkDocument,
  CreateUploadDocument,
  FilesDocument,
  FilesInSumDocument,
  NodeDocument,
  PlacementDocument,
  StorageStatsDocument,
  UploadSessionsDocument,
} from "../../generated/graphql.js";
import { statementsOf } from "../../support/statements.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { PASSWORD, field, store } from "../client.js";
import { ask, post } from "./client.js";

const SIZES = [10, 5000, 200, 5000];

let server: TestServer;
let url: string;
let admin: Record<string, string>;
let database: pg.Client;
/** One of each size; the second and the last have five chunks and more. */
let hashes: string[];
beforeAll(async () => {
  server = await startServer();
  url = server.url;
  admin = { Authorization: `Bearer ${server.adminToken}` };
  database = new pg.Client(server.databaseUrl);
  await database.connect();
  hashes = [];
  for (const size of SIZES) hashes.push(await store(url, randomBytes(size), field("chunk_size", "1024")));
});
afterAll(async () => {
  await database.end();
  await server.stop();
});

const files = async (variables: FilesQueryVariables) => {
  const { data, errors } = await ask(url, FilesDocument, variables, admin);
  expect(errors).toBeUndefined();
  if (!data) throw new Error("no data");
  return data.files;
};
const globalId = (...parts: (string | number)[]) => Buffer.from(parts.join(":")).toString("base64url");

describe("files", () => {
  test("come in the order asked for, files of one size by their ids, and the other way round", async () => {
    const sizesOf = async (variables: FilesQueryVariables) =>
      (await files(variables)).nodes.map(({ size }) => size);
    expect(await sizesOf({ orderBy: { field: "SIZE", direction: "ASC" } })).toEqual([10, 200, 5000, 5000]);
    expect(await sizesOf({ orderBy: { field: "SIZE" } })).toEqual([5000, 5000, 200, 10]);
    expect((await files({})).nodes.map(({ hash }) => hash)).toEqual([...hashes].reverse());
    expect((await files({ orderBy: { direction: "ASC" } })).nodes.map(({ hash }) => hash)).toEqual(hashes);
  });

  test("page from the end with last and before", async () => {
    const order = { orderBy: { field: "SIZE", direction: "ASC" } } as const;
    const all = (await files(order)).nodes;
    const end = await files({ ...order, last: 2 });
    expect(end.nodes).toEqual(all.slice(2));
    expect(end.pageInfo).toMatchObject({ hasPreviousPage: true, hasNextPage: false });
    const before = end.pageInfo.startCursor;
    expect((await files({ ...order, last: 2, before })).nodes).toEqual(all.slice(0, 2));
  });

  test("are filtered by all that is given", async () => {
    const [bucket] = (await ask(url, BucketsDocument, {}, admin)).data?.buckets ?? [];
    const { rows } = await database.query(
      "select encode(hash, 'hex') as hash from files f where exists (select from chunks c where c.file_id = f.id and bucket_id = 1)",
    );
    const hashesOf = async (filter: FilesQueryVariables["filter"]) =>
      (await files({ filter })).nodes.map(({ hash }) => hash).sort();
    expect(await hashesOf({ bucketId: bucket?.id })).toEqual(rows.map(({ hash }) => hash).sort());
    expect(await hashesOf({ sizeAtLeast: 200, sizeAtMost: 4999 })).toEqual([hashes[2]]);
    expect(await hashesOf({ createdBefore: "0001-01-01T00:00:00Z" })).toEqual([]);
    expect(await hashesOf({ createdAfter: "9999-12-31T23:59:59Z" })).toEqual([]);
    expect(await hashesOf({ createdAfter: "2020-01-01T00:00:00Z", status: ["AVAILABLE"] })).toEqual(
      [...hashes].sort(),
    );
    expect(await hashesOf({ status: ["DEGRADED", "GONE"] })).toEqual([]);
    expect(await hashesOf({ bucketId: globalId("Bucket", 32_767) })).toEqual([]);
  });

  test.each([
    [{ filter: { bucketId: "1" } }],
    [{ filter: { bucketId: globalId("Bucket", 32_768) } }],
    [{ filter: { bucketId: globalId("Bucket", "1 or true") } }],
    [{ filter: { bucketId: globalId("File", 1) } }],
    [{ filter: { hashStartsWith: "" } }],
    [{ filter: { createdAfter: "yesterday" } }],
    [{ filter: { sizeAtLeast: -1 } }],
  ])("with %j are a mistake", async variables => {
    const { errors } = await ask(url, FilesDocument, variables, admin);
    expect(errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });

  test("refuse a cursor of another order", async () => {
    const after = (await files({ first: 1 })).pageInfo.endCursor;
    const { errors } = await ask(url, FilesDocument, { after, orderBy: { field: "SIZE" } }, admin);
    expect(errors?.[0]).toMatchObject({ extensions: { code: "BAD_USER_INPUT" }, message: /cursor/ });
  });
});

describe("the chunk map", () => {
  const chunks = async (filter: object) => {
    const variables = { hash: hashes[1] ?? "", filter };
    const { data, errors } = await ask(url, ChunkMapDocument, variables, admin);
    expect(errors).toBeUndefined();
    return data?.file?.chunks;
  };

  test("in sum says of each bucket what the map says row by row, and nothing to anyone else", async () => {
    const hash = hashes[1] ?? "";
    const whole = (await chunks({}))?.nodes ?? [];
    const { data } = await ask(url, PlacementDocument, { hash }, admin);
    for (const { bucket, chunkCount, storedSize, ranges } of data?.file?.placement ?? []) {
      const own = whole.filter(chunk => chunk.bucket.id === bucket.id);
      expect(chunkCount).toBe(own.length);
      expect(storedSize).toBe(own.reduce((sum, chunk) => sum + chunk.storedSize, 0));
      const numbers = ranges.flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, i) => first + i),
      );
      expect(numbers).toEqual(own.flatMap(({ index }) => index ?? []));
    }
    expect(new Set(data?.file?.placement?.map(({ bucket }) => bucket.id))).toEqual(
      new Set(whole.map(({ bucket }) => bucket.id)),
    );
    expect((await ask(url, PlacementDocument, { hash })).data?.file).toEqual({ placement: null });
  });

  test("is filtered by bucket, kind and state", async () => {
    const whole = (await chunks({}))?.nodes ?? [];
    const bucketId = whole[0]?.bucket.id;
    expect((await chunks({ bucketId }))?.nodes).toEqual(whole.filter(({ bucket }) => bucket.id === bucketId));
    expect((await chunks({ kind: "DATA" }))?.nodes).toEqual(whole.filter(({ kind }) => kind === "DATA"));
    expect(await chunks({ state: ["MISSING", "CORRUPT"] })).toMatchObject({ nodes: [], totalCount: 0 });
    expect((await chunks({ state: ["STORED"], kind: "DATA", bucketId }))?.nodes.length).toBeGreaterThan(0);
  });
});

describe("storageStats", () => {
  test("are the sums of what is stored, every bucket among them, also an empty one", async () => {
    await database.query(
      "insert into buckets (name, provider) values ('file:///empty', 'disk') on conflict do nothing",
    );
    await database.query("update files set status = 'degraded' where encode(hash, 'hex') = $1", [hashes[0]]);
    const input = { filename: "x", password: PASSWORD };
    await ask(url, CreateUploadDocument, { input });
    const stats = (await ask(url, StorageStatsDocument, {}, admin)).data?.storageStats;
    await database.query("update files set status = 'available' where status = 'degraded'");
    const { rows } = await database.query(
      "select count(*)::int as count, sum(stored_bytes)::int as bytes from chunks",
    );
    expect(stats).toMatchObject({
      fileCount: SIZES.length,
      plainSize: SIZES.reduce((sum, size) => sum + size, 0),
      chunkCount: rows[0].count,
      storedSize: rows[0].bytes,
      degradedFileCount: 1,
      unavailableFileCount: 0,
      uploadsUnderWay: 1,
    });
    expect(stats?.byBucket).toHaveLength(7);
    expect(stats?.byBucket.at(-1)).toMatchObject({
      bucket: { name: "file:///empty" },
      chunkCount: 0,
      storedSize: 0,
    });
    expect(stats?.byBucket.reduce((sum, { chunkCount }) => sum + chunkCount, 0)).toBe(stats?.chunkCount);
  });

  test("are for administrators, like the lists and node", async () => {
    const answers = [
      await ask(url, StorageStatsDocument, {}),
      await ask(url, FilesInSumDocument, {}),
      await ask(url, NodeDocument, { id: globalId("File", hashes[0] ?? "") }),
    ];
    for (const { data, errors } of answers) {
      expect(errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
      expect(Object.values(data ?? {}).every(value => value === null)).toBe(true);
    }
  });
});

describe("node", () => {
  const node = async (id: string) => {
    const { data, errors } = await ask(url, NodeDocument, { id }, admin);
    expect(errors).toBeUndefined();
    return data?.node;
  };

  test("finds whatever has a global id", async () => {
    const hash = hashes[1] ?? "";
    const input = { hash, password: PASSWORD };
    const link = (await ask(url, CreateDownloadLinkDocument, { input })).data?.createDownloadLink.link;
    const [chunk] =
      (await ask(url, ChunkMapDocument, { hash, first: 1 }, admin)).data?.file?.chunks?.nodes ?? [];
    const [bucket] = (await ask(url, BucketsDocument, {}, admin)).data?.buckets ?? [];
    const [session] = (await ask(url, UploadSessionsDocument, {}, admin)).data?.uploadSessions.nodes ?? [];
    const found = [
      { __typename: "File", id: globalId("File", hash), hash },
      {
        __typename: "Chunk",
        id: chunk?.id,
        index: 0,
        objectKey: chunk?.objectKey,
        bucket: { id: chunk?.bucket.id },
      },
      { __typename: "Bucket", id: bucket?.id, name: bucket?.name },
      { __typename: "UploadSession", id: session?.id, stage: session?.stage, offset: session?.offset },
      { __typename: "DownloadLink", id: link?.id, expiresAt: link?.expiresAt, downloadCount: 0 },
    ];
    for (const one of found) expect(await node(one.id ?? "")).toEqual(one);
  });

  const UUID = "00000000-0000-4000-8000-000000000000";
  test.each([
    ["nothing", ""],
    ["no base64", "%%%"],
    ["another spelling of an id", `${globalId("Bucket", 1)}=`],
    ["no key", globalId("Bucket")],
    ["an unknown type", globalId("Secret", 1)],
    ["a name that every object has", globalId("constructor", 1)],
    ["an unknown file", globalId("File", "0".repeat(64))],
    ["no hash", globalId("File", "0".repeat(63))],
    ["an unknown chunk", globalId("Chunk", UUID, 0, 0)],
    ["a chunk with a leading zero", globalId("Chunk", UUID, "00", 0)],
    ["a chunk beyond all numbers", globalId("Chunk", UUID, "9".repeat(20), 0)],
    ["a bucket beyond all numbers", globalId("Bucket", "9".repeat(20))],
    ["an unknown bucket", globalId("Bucket", 99_999)],
    ["an unknown upload", globalId("UploadSession", UUID)],
    ["no upload", globalId("UploadSession", `${UUID}' or true`)],
    ["an unknown link", globalId("DownloadLink", "0".repeat(32))],
    ["what is too long", "A".repeat(100_00)],
  ])("is null for %s", async (_, id) => {
    expect(await node(id)).toBeNull();
  });
});

describe("a long page", () => {
  /** Files and uploads like those that are there, by the hundred. */
  beforeAll(async () => {
    await database.query(
      `
      with one as (select * from files where encode(hash, 'hex') = $1),
      more as (
        insert into files (id, hash, core, seal, meta, plain_bytes, data_chunks, parity_chunks)
        select gen_random_uuid(), sha256(int4send(i)), core, seal, meta, plain_bytes, data_chunks, parity_chunks
        from one, generate_series(1, 110) i returning id
      )
      insert into chunks (file_id, stripe, shard, bucket_id, object_key, stored_bytes, digest)
      select more.id, stripe, shard, bucket_id, gen_random_uuid(), stored_bytes, digest
      from more, chunks where file_id = (select id from one)`.replace("$1", `'${hashes[1]}'`),
    );
    await database.query(`
      insert into uploads (id, token_id, "offset", length, chunk_bytes, segment_bytes, data_chunks, parity_chunks,
        floe_header, meta, facts, stage, hash, expires_at)
      select gen_random_uuid(), substr(f.hash, 1, 16), u."offset", u.length, u.chunk_bytes, u.segment_bytes,
        u.data_chunks, u.parity_chunks, u.floe_header, u.meta, u.facts, 'finished', f.hash, u.expires_at
      from files f, (select * from uploads where stage = 'finished' limit 1) u`);
  });

  test.each([
    [
      "files with their placement, chunks, events and totals",
      (first: number) => ask(url, FilesInSumDocument, { first }, admin),
    ],
    [
      "upload sessions with their files",
      (first: number) => ask(url, UploadSessionsDocument, { first }, admin),
    ],
  ])("of %s takes as many statements as a short one, and few", async (_, read) => {
    const countOf = async (first: number) => {
      let answer: { data?: unknown; errors?: unknown } = {};
      const statements = await statementsOf(async () => {
        answer = await read(first);
      });
      expect(answer.errors).toBeUndefined();
      expect(JSON.stringify(answer.data).match(/"hash"/g)).toHaveLength(first);
      return statements.length;
    };
    const short = await countOf(2);
    expect(short).toBeGreaterThan(1);
    expect(short).toBeLessThanOrEqual(10);
    expect(await countOf(100)).toBe(short);
  });

  test.each([
    ["written out", "{ files(first: 100) { nodes { chunks(first: 100) { nodes { id digest } } } } }", {}],
    [
      "in variables",
      "query ($n: Int) { files(first: $n) { nodes { chunks(first: $n) { nodes { id digest } } } } }",
      { n: 100 },
    ],
    [
      "in a default and a fragment",
      "query ($n: Int = 100) { files(last: $n) { edges { node { ...f } } } } fragment f on File { chunks(first: $n) { nodes { id digest } } }",
      {},
    ],
    [
      "by default",
      "{ files(first: 100) { nodes { chunks { nodes { id digest storedSize objectKey } } } } }",
      {},
    ],
    [
      "as every range of every file",
      "{ files(first: 100) { nodes { placement { ranges { first } } } } }",
      {},
    ],
  ])("of a hundred files with a hundred chunks each is too complex, %s", async (_, query, variables) => {
    const statements = await statementsOf(async () => {
      const { errors, data } = await post(url, { query, variables }, admin);
      expect(errors).toMatchObject([{ extensions: { code: "QUERY_TOO_COMPLEX" } }]);
      expect(data ?? null).toBeNull();
    });
    expect(statements).toEqual([]);
  });

  test("of a hundred chunks in all their fields is not", async () => {
    const { errors } = await ask(url, ChunkMapDocument, { hash: hashes[1] ?? "", first: 100 }, admin);
    expect(errors).toBeUndefined();
  });
});
