/** What is audited of what is done at every door, and that nothing is done that cannot be audited. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { randomBytes } from "node:crypto";
import { readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { AuditEventsQuery, AuditFactsFragment } from "../generated/graphql.js";
import {
  AbandonUploadDocument,
  AuditEventsDocument,
  BucketsDocument,
  CreateDownloadLinkDocument,
  CreateUploadDocument,
  DeleteFileDocument,
  FileAuditEventsDocument,
  FileByHashDocument,
  UnlockFileDocument,
  UpdateBucketDocument,
  UploadFileDocument,
} from "../generated/graphql.js";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";
import * as audited from "./audited.js";
import { PASSWORD, bodyOf, errorOf, field, file, link, postForm, retrieve, store } from "./client.js";
import type { GraphqlAnswer } from "./graphql/client.js";
import { ask, postFile } from "./graphql/client.js";
import { base64, begin, patch, tus } from "./tus/client.js";

const NOBODY = { actor: null, clientIp: "127.0.0.1" };
const ADMIN = { actor: "admin", clientIp: "127.0.0.1" };
const SERVICE = { actor: null, clientIp: null, requestId: null };
/** What only the client may know. */
const canary = () => randomBytes(12).toString("hex");
const secrets = { password: canary(), wrong: canary(), name: canary(), type: canary(), text: canary() };

let server: TestServer;
let url: string;
let admin: Record<string, string>;
beforeAll(async () => {
  server = await startServer();
  url = server.url;
  admin = { Authorization: `Bearer ${server.adminToken}` };
});
afterAll(() => server.stop());

const eventsOf = (hash: string) => audited.eventsOf(server, hash);
const storyOf = (hash: string) => audited.storyOf(server, hash);
const query = <Row extends pg.QueryResultRow>(...statements: readonly string[]) =>
  audited.query<Row>(server, ...statements);

async function newest(): Promise<AuditFactsFragment | undefined> {
  return (await ask(url, AuditEventsDocument, { first: 1 }, admin)).data?.auditEvents.nodes[0];
}

const STORED = ["UPLOAD_CREATED SUCCESS", "UPLOAD_FINISHED SUCCESS"];

describe("each action has exactly one entry, with who, from where, in which request,", () => {
  test("over REST: upload, link, download", async () => {
    const headers = { "X-Request-Id": "rest-upload" };
    const answer = await postForm(url, [file("hello"), field("password", PASSWORD)], headers);
    const { hash } = (await bodyOf(answer)) as { hash: string };
    const at = await link(url, hash);
    await (await fetch(at, { headers: { "X-Request-Id": "rest-download" } })).text();
    expect(await storyOf(hash)).toEqual([...STORED, "LINK_CREATED SUCCESS", "FILE_DOWNLOADED SUCCESS"]);
    const [downloaded, created, finished, begun] = await eventsOf(hash);
    expect(downloaded).toMatchObject({ ...NOBODY, fileHash: hash, requestId: "rest-download", count: 1 });
    expect(created).toMatchObject({ ...NOBODY, fileHash: hash });
    expect(finished).toMatchObject({ ...NOBODY, fileHash: hash, requestId: "rest-upload", bucket: null });
    expect(begun).toMatchObject({ ...NOBODY, fileHash: null, requestId: "rest-upload" });
    expect(new Set([downloaded, created, finished, begun].map(event => event?.uploadId)).size).toBe(1);
  });

  test("over GraphQL: upload, unlock, link, delete by an administrator", async () => {
    const content = new File(["hello"], "a.txt", { type: "text/plain" });
    const { data } = await postFile(url, UploadFileDocument, { password: PASSWORD }, content);
    const hash = data?.uploadFile.file?.hash ?? "";
    await ask(url, UnlockFileDocument, { input: { hash, password: PASSWORD } }, { "X-Request-Id": "gql" });
    await ask(url, CreateDownloadLinkDocument, { input: { hash, password: PASSWORD } });
    await ask(url, DeleteFileDocument, { input: { hash } }, admin);
    await ask(url, DeleteFileDocument, { input: { hash } }, admin); // gone: nothing is deleted again
    expect(await storyOf(hash)).toEqual([
      ...STORED,
      "FILE_UNLOCKED SUCCESS",
      "LINK_CREATED SUCCESS",
      "FILE_DELETED SUCCESS",
    ]);
    const [deleted, , unlocked] = await eventsOf(hash);
    expect(deleted).toMatchObject({ ...ADMIN, fileHash: hash });
    expect(unlocked).toMatchObject({ ...NOBODY, requestId: "gql" });
  });

  test("over tus: begin, finish, abandon; begun in GraphQL too", async () => {
    const { location } = await begin(url, { "Upload-Length": "5", "X-Request-Id": "tus-begin" });
    const { headers } = await patch(location, 0, "hello", { "X-Request-Id": "tus-end" });
    const [finished, begun] = await eventsOf(String(headers["file-hash"]));
    expect(begun).toMatchObject({ ...NOBODY, action: "UPLOAD_CREATED", requestId: "tus-begin" });
    expect(finished).toMatchObject({ ...NOBODY, action: "UPLOAD_FINISHED", requestId: "tus-end" });

    const again = await begin(url, { "Upload-Length": "5" });
    await tus("DELETE", again.location, { "X-Request-Id": "tus-drop" });
    expect(await newest()).toMatchObject({ ...NOBODY, action: "UPLOAD_ABANDONED", requestId: "tus-drop" });

    const input = { filename: "a", password: PASSWORD, size: 5 };
    const made = await ask(url, CreateUploadDocument, { input }, { "X-Request-Id": "gql-begin" });
    expect(await newest()).toMatchObject({ ...NOBODY, action: "UPLOAD_CREATED", requestId: "gql-begin" });
    const token = String(made.data?.createUpload.upload?.tusUrl);
    const drop = { "X-Request-Id": "gql-drop" };
    await ask(url, AbandonUploadDocument, { input: { token } }, drop);
    expect(await newest()).toMatchObject({ ...NOBODY, action: "UPLOAD_ABANDONED", requestId: "gql-drop" });
    await ask(url, AbandonUploadDocument, { input: { token } }, { "X-Request-Id": "twice" });
    expect((await newest())?.requestId).toBe("gql-drop"); // it was abandoned already
  });

  test("whatever number of ranges a use of a link takes", async () => {
    const hash = await store(url, "0123456789");
    const at = await link(url, hash);
    for (const range of ["bytes=0-3", "bytes=4-6"]) {
      await (await fetch(at, { headers: { Range: range } })).text();
    }
    await (await fetch(at, { method: "HEAD" })).text();
    await (await fetch(at, { headers: { Range: "bytes=7-9" } })).text();
    await (await fetch(at)).text();
    const story = await storyOf(hash);
    expect(story.slice(2)).toEqual([
      "LINK_CREATED SUCCESS",
      "FILE_DOWNLOADED SUCCESS",
      "FILE_DOWNLOADED SUCCESS",
    ]);
  });

  test("a bucket's change, with the bucket, and its refusal", async () => {
    const { data } = await ask(url, BucketsDocument, {}, admin);
    const [{ id, name } = { id: "", name: "" }] = data?.buckets ?? [];
    const change = (input: object) => ask(url, UpdateBucketDocument, { input: { id, ...input } }, admin);
    const own = async () =>
      (await ask(url, AuditEventsDocument, { filter: { bucketId: id } }, admin)).data?.auditEvents.nodes;
    await store(url, randomBytes(20_000), field("chunk_size", "1024")); // so that it holds something
    await change({ weight: 2 });
    await change({ state: "DISABLED" });
    await change({ weight: 1 });
    const bucket = { name };
    expect(await own()).toMatchObject([
      { ...ADMIN, action: "BUCKET_CHANGED", outcome: "SUCCESS", bucket },
      { ...ADMIN, action: "BUCKET_CHANGED", outcome: "DENIED", message: "BUCKET_IN_USE", bucket },
      { ...ADMIN, action: "BUCKET_CHANGED", outcome: "SUCCESS", bucket },
    ]);
  });

  test("also what the service does by itself: the last download ends the file", async () => {
    const hash = await store(url, "once", field("max_downloads", "1"));
    await (await fetch(await link(url, hash))).text();
    for (let wait = 0; wait < 100 && (await storyOf(hash)).length < 5; wait++) {
      await new Promise(resolve => setTimeout(resolve, 50)); // the answer is sent before the file is shredded
    }
    expect(await storyOf(hash)).toEqual([
      ...STORED,
      "LINK_CREATED SUCCESS",
      "FILE_DOWNLOADED SUCCESS",
      "FILE_EXPIRED SUCCESS",
    ]);
    expect((await eventsOf(hash))[0]).toMatchObject({ ...SERVICE, fileHash: hash });
  });
});

describe("refused is audited", () => {
  test("a wrong password, at each thing it is asked for", async () => {
    const hash = await store(url, "x");
    const input = { hash, password: "not the password" };
    await ask(url, UnlockFileDocument, { input });
    await ask(url, CreateDownloadLinkDocument, { input });
    await ask(url, DeleteFileDocument, { input });
    await retrieve(url, hash, { password: "not the password" });
    expect((await storyOf(hash)).slice(2)).toEqual([
      "FILE_UNLOCKED DENIED WRONG_PASSWORD",
      "LINK_CREATED DENIED WRONG_PASSWORD",
      "FILE_DELETED DENIED WRONG_PASSWORD",
      "LINK_CREATED DENIED WRONG_PASSWORD",
    ]);
  });

  test("a retained file, and a link that is over", async () => {
    const hash = await store(url, "x");
    const at = await link(url, hash, { max_uses: "1" });
    const late = await link(url, hash);
    await query(`update files set retain_until = now() + interval '1 hour' where hash = '\\x${hash}'`);
    await ask(url, DeleteFileDocument, { input: { hash } }, admin);
    await (await fetch(at)).text();
    expect((await fetch(at)).status).toBe(410);
    await query(`update grants set revoked_at = now() where kind = 'link'`);
    expect((await fetch(late)).status).toBe(410);
    expect((await storyOf(hash)).slice(4)).toEqual([
      "FILE_DELETED DENIED FILE_RETAINED",
      "FILE_DOWNLOADED SUCCESS",
      "FILE_DOWNLOADED DENIED LINK_EXPIRED",
      "FILE_DOWNLOADED DENIED LINK_EXPIRED",
    ]);
  });

  test("too many tries; and a flood of them is bounded and still counted", async () => {
    await using own = await startServer({ RATE_LIMIT: "on" });
    const hash = await store(own.url, "x");
    for (let i = 0; i < 25; i++) await retrieve(own.url, hash, { password: "not the password" });
    const client = new pg.Client(own.databaseUrl);
    await client.connect();
    const { rows } = await client.query("select 1 from audit_inbox union all select 1 from audit_events");
    await client.end();
    expect(rows).toHaveLength(2 + 10); // one by one, of one address in a minute
    const asked = await ask(own.url, AuditEventsDocument, { filter: { outcome: ["DENIED"] } }, admin);
    expect(asked.data?.auditEvents.nodes).toHaveLength(10);
  });

  test("neither a mistake, nor what tells of no file", async () => {
    const before = (await newest())?.id;
    await retrieve(url, "0".repeat(64));
    await retrieve(url, "nothing");
    await fetch(`${url}/d/${"a".repeat(43)}`);
    await ask(url, DeleteFileDocument, { input: { hash: "0".repeat(64) } });
    expect((await newest())?.id).toBe(before);
  });
});

test("a download that ends at a corrupt chunk is a failure", async () => {
  const hash = await store(url, randomBytes(300_000), field("chunk_size", "65536"));
  const at = await link(url, hash);
  const lastStripe = await query<{ name: string; key: string }>(
    `select b.name, c.object_key::text as key from chunks c join buckets b on b.id = c.bucket_id join files f on f.id = c.file_id
     where f.hash = '\\x${hash}' and c.stripe = 1`,
  );
  // All of it: of what is left of a stripe, the rest is rebuilt.
  for (const { name, key } of lastStripe) await cutObject(new URL(name).pathname, key.replaceAll("-", ""));
  await expect(fetch(at).then(answer => answer.arrayBuffer())).rejects.toThrow();
  expect((await storyOf(hash)).slice(3)).toEqual([
    "FILE_DOWNLOADED SUCCESS",
    "FILE_DOWNLOADED FAILED FILE_UNAVAILABLE",
  ]);
});

async function cutObject(folder: string, key: string): Promise<void> {
  const names = await readdir(folder, { recursive: true });
  const found = names.find(name => name.replaceAll("/", "").endsWith(key));
  if (!found) throw new Error(`no object ${key}`);
  await truncate(join(folder, found), 10);
}

describe("nothing is done that cannot be audited:", () => {
  const broken = (act: () => Promise<void>) => audited.whileNothingIsRecorded(server, act);
  let hash: string;
  let at: string;
  beforeAll(async () => {
    hash = await store(url, "kept", field("max_downloads", "5"));
    at = await link(url, hash);
  });

  test("no upload begins, none is finished", async () => {
    const begun = await begin(url, { "Upload-Length": "2" });
    await broken(async () => {
      const refused = await postForm(url, [file("x"), field("password", PASSWORD)]);
      expect(await errorOf(refused)).toEqual({ status: 500, code: "INTERNAL" });
      expect((await patch(begun.location, 0, "ab")).status).toBe(500);
    });
    const waiting = "select count(*)::int as count from uploads where stage = 'receiving' and length = 2";
    expect(await query(waiting)).toEqual([{ count: 1 }]);
    const { headers } = await tus("HEAD", begun.location); // and once it can be, it is
    expect(headers["file-hash"]).toMatch(/^[0-9a-f]{64}$/);
  });

  test("no name, no link and no byte is given out", async () => {
    await broken(async () => {
      const unlocked = await ask(url, UnlockFileDocument, { input: { hash, password: PASSWORD } });
      expect(unlocked.data?.unlockFile ?? null).toBeNull();
      expect(unlocked.errors?.[0]?.extensions.code).toBe("INTERNAL_SERVER_ERROR");
      expect((await retrieve(url, hash)).status).toBe(500);
      const download = await fetch(at);
      expect(download.status).toBe(500);
      expect(await download.text()).not.toContain("kept");
    });
    const links = `select count(*)::int as count from grants g join files f on f.id = g.file_id
      where f.hash = '\\x${hash}' and kind = 'link'`;
    expect(await query(links)).toEqual([{ count: 1 }]);
  });

  test("no file is deleted, and no upload is dropped", async () => {
    const { location } = await begin(url, { "Upload-Length": "2" });
    await broken(async () => {
      const { errors } = await ask(url, DeleteFileDocument, { input: { hash } }, admin);
      expect(errors?.[0]?.extensions.code).toBe("INTERNAL_SERVER_ERROR");
      expect((await tus("DELETE", location)).status).toBe(500);
    });
    expect((await ask(url, FileByHashDocument, { hash })).data?.file?.status).toBe("AVAILABLE");
    expect(await (await fetch(at)).text()).toBe("kept");
    expect((await tus("HEAD", location)).status).toBe(200);
  });

  test("but a refusal is a refusal", async () => {
    await broken(async () => {
      expect((await retrieve(url, hash, { password: "not the password" })).status).toBe(403);
    });
  });
});

describe("auditEvents", () => {
  test("is for administrators", async () => {
    const anyone = await ask(url, AuditEventsDocument, {});
    expect(anyone.errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
    const hash = await store(url, "x");
    const { data, errors } = await ask(url, FileAuditEventsDocument, { hash });
    expect(errors).toBeUndefined();
    expect(data?.file).toEqual({ auditEvents: null });
  });

  test("pages newest first, without a gap", async () => {
    const whole = (await ask(url, AuditEventsDocument, { first: 9 }, admin)).data?.auditEvents;
    const pages: AuditEventsQuery["auditEvents"][] = [];
    for (let after: string | null = null; pages.length < 3; ) {
      const { data }: GraphqlAnswer<AuditEventsQuery> = await ask(
        url,
        AuditEventsDocument,
        { first: 3, after },
        admin,
      );
      if (data) pages.push(data.auditEvents);
      expect(data?.auditEvents.pageInfo).toMatchObject({
        hasNextPage: true,
        hasPreviousPage: after !== null,
      });
      after = data?.auditEvents.pageInfo.endCursor ?? null;
    }
    expect(pages.flatMap(page => page?.nodes)).toEqual(whole?.nodes);
    const numbers = whole?.nodes.map(({ entry }) => Number(entry.split(":")[0])) ?? [];
    expect(numbers).toEqual(Array.from({ length: 9 }, (_, i) => (numbers[0] ?? 0) - i));
  });

  test.each([[{ first: 0 }], [{ first: 101 }], [{ after: "bm8" }], [{ filter: { bucketId: "RmlsZToxMg" } }]])(
    "is told that %j is a mistake",
    async variables => {
      const { errors } = await ask(url, AuditEventsDocument, variables, admin);
      expect(errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
    },
  );
});

test("no entry holds a password, a token, a name, a type, a byte of a file, or a key", async () => {
  const { password, wrong, name, type, text } = secrets;
  const tokens: string[] = [];
  const content = new File([text], `${name}.txt`, { type: `text/${type}` });
  const { data } = await postFile(url, UploadFileDocument, { password }, content);
  const hash = data?.uploadFile.file?.hash ?? "";
  const parts = [
    { name: "file", value: text, filename: name, type: `text/${type}` },
    field("password", password),
  ];
  await postForm(url, parts);
  const metadata = `filename ${base64(name)},filetype ${base64(type)}`;
  const upload = { "Upload-Length": "2", "Upload-Metadata": metadata, "Upload-Password": base64(password) };
  for (const end of [patch, (at: string) => tus("DELETE", at)]) {
    const { location } = await begin(url, upload);
    tokens.push(location.slice(location.lastIndexOf("/") + 1));
    await end(location, 0, "ab");
  }
  for (const tried of [password, wrong]) {
    await ask(url, UnlockFileDocument, { input: { hash, password: tried } });
    await retrieve(url, hash, { password: tried });
    await ask(url, DeleteFileDocument, { input: { hash, password: wrong } });
  }
  const at = await link(url, hash, { password, max_uses: "1" });
  tokens.push(at.slice(at.lastIndexOf("/") + 1));
  for (let i = 0; i < 2; i++) await (await fetch(at)).text();
  expect(tokens.filter(token => /^[\w-]{43}$/.test(token))).toHaveLength(3);

  const texts = [...Object.values(secrets), server.adminToken, ...tokens];
  const forbidden = texts.flatMap(one => [
    one,
    base64(one).replace(/=+$/, ""),
    Buffer.from(one).toString("hex"),
  ]);
  const raw = tokens.map(token => Buffer.from(token, "base64url").toString("hex"));
  const rows = await query<{ text: string }>(
    "select e::text as text from audit_events e union all select i::text from audit_inbox i",
  );
  expect(rows.length).toBeGreaterThan(50);
  for (const row of rows) {
    expect([...forbidden, ...raw].filter(secret => row.text.includes(secret))).toEqual([]);
  }
});
