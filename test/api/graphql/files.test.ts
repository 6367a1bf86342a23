import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createHash, randomBytes } from "node:crypto";
import {
  BucketsDocument,
  ChunkMapDocument,
  CreateDownloadLinkDocument,
  DeleteFileDocument,
  FileByHashDocument,
  FilesDocument,
  ServerInfoDocument,
  UnlockFileDocument,
  UploadFileDocument,
} from "../../generated/graphql.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { PASSWORD, bodyOf, countRows, field, link, retrieve, store } from "../client.js";
import { ask, postFile } from "./client.js";

const CONTENT = randomBytes(200_000);
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");
const UNKNOWN = "0".repeat(64);

let server: TestServer;
let url: string;
let hash: string;
let admin: Record<string, string>;
beforeAll(async () => {
  server = await startServer({ MAX_UPLOAD_SIZE: "2MiB" });
  url = server.url;
  admin = { Authorization: `Bearer ${server.adminToken}` };
  hash = await store(url, CONTENT, field("chunk_size", "65536"), field("max_downloads", "9"));
});
afterAll(() => server.stop());

const picture = (content: Uint8Array<ArrayBuffer> = new Uint8Array(CONTENT)) =>
  new File([content], "Grüße.png", { type: "image/png" });

describe("anyone", () => {
  test("reads the limits", async () => {
    const { data } = await ask(url, ServerInfoDocument, {});
    expect(data?.serverInfo).toMatchObject({
      version: "0.0.0-test",
      maxFileSize: 2 << 20,
      minChunkSize: 1024,
      maxChunkSize: 64 << 20,
      defaultChunkSize: 1 << 20,
      minPasswordLength: 8,
      defaultExpiresIn: null,
      maxExpiresIn: "P3650D",
      tusEndpoint: `${url}/files`,
    });
  });

  test("who knows the hash sees what the hash gives, and null for the rest", async () => {
    const { data, errors } = await ask(url, FileByHashDocument, { hash });
    expect(errors).toBeUndefined();
    expect(data?.file).toEqual({
      id: Buffer.from(`File:${hash}`).toString("base64url"),
      hash,
      status: "AVAILABLE",
      size: 200_000,
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      expiresAt: null,
      remainingDownloads: 9,
      name: null,
      mediaType: null,
      sha256: null,
      chunkSize: null,
      chunkCount: null,
      downloadCount: null,
      parity: null,
    });
    expect((await ask(url, ChunkMapDocument, { hash })).data?.file).toEqual({ chunks: null });
    expect((await ask(url, FileByHashDocument, { hash: UNKNOWN })).data?.file).toBeNull();
  });

  test("sees no lists", async () => {
    for (const answer of [await ask(url, FilesDocument, {}), await ask(url, BucketsDocument, {})]) {
      expect(answer.errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
      expect(answer.data ?? null).toBeNull();
    }
  });
});

describe("with the password", () => {
  test("unlockFile tells name, media type and digest", async () => {
    const { data } = await ask(url, UnlockFileDocument, { input: { hash, password: PASSWORD } });
    expect(data?.unlockFile.userErrors).toEqual([]);
    expect(data?.unlockFile.file).toMatchObject({
      hash,
      name: "a.txt",
      mediaType: "text/plain",
      sha256: SHA256,
    });
  });

  test("createDownloadLink gives a link that downloads", async () => {
    const input = { hash, password: PASSWORD, expiresIn: "PT1M", maxDownloads: 2 };
    const { data } = await ask(url, CreateDownloadLinkDocument, { input });
    const { url: at, link: made, file, userErrors } = data?.createDownloadLink ?? {};
    expect(userErrors).toEqual([]);
    expect(made).toMatchObject({ maxDownloads: 2, downloadCount: 0, revokedAt: null });
    expect(file).toMatchObject({ name: "a.txt" });
    expect(Date.parse(made?.expiresAt ?? "") - Date.now()).toBeLessThan(61_000);
    expect(Buffer.from(await (await fetch(String(at))).arrayBuffer())).toEqual(CONTENT);
  });

  test("deleteFile ends the file, its links, and what the password opens", async () => {
    const own = await store(url, "to be deleted");
    const at = await link(url, own);
    const { data } = await ask(url, DeleteFileDocument, { input: { hash: own, password: PASSWORD } });
    expect(data?.deleteFile).toEqual({ deletedHash: own, userErrors: [] });
    expect((await fetch(at)).status).toBeGreaterThanOrEqual(404);
    expect((await retrieve(url, own)).status).toBe(410);
    expect((await ask(url, FileByHashDocument, { hash: own })).data?.file?.status).toBe("GONE");
  });
});

describe("an administrator", () => {
  test("sees the layout and the chunk map, never the name", async () => {
    const { data } = await ask(url, FileByHashDocument, { hash }, admin);
    expect(data?.file).toMatchObject({
      name: null,
      sha256: null,
      chunkSize: 65_536,
      chunkCount: 4,
      downloadCount: expect.any(Number),
    });
    const { data: map } = await ask(url, ChunkMapDocument, { hash, first: 3 }, admin);
    const chunks = map?.file?.chunks;
    expect(chunks?.totalCount).toBe(4 + 2); // its stripe, parity included
    expect(chunks?.pageInfo.hasNextPage).toBe(true);
    expect(chunks?.nodes.map(({ index, offset, storedSize }) => [index, offset, storedSize])).toEqual([
      [0, 0, 65_536],
      [1, 65_504, 65_536],
      [2, 131_008, 65_536],
    ]);
    for (const { bucket, digest, kind, objectKey } of chunks?.nodes ?? []) {
      expect(bucket).toMatchObject({ provider: "DISK", state: "ACTIVE" });
      expect(digest).toMatch(/^[0-9a-f]{64}$/);
      expect(objectKey).toMatch(/^[0-9a-f]{32}$/);
      expect(kind).toBe("DATA");
    }
    const after = chunks?.pageInfo.endCursor ?? null;
    const { data: rest } = await ask(url, ChunkMapDocument, { hash, first: 3, after }, admin);
    expect(rest?.file?.chunks?.nodes.map(({ index }) => index)).toEqual([3, null, null]);
  });

  test("pages through all files, forwards and backwards", async () => {
    for (let i = 0; i < 3; i++) await store(url, `${i}`);
    const { data } = await ask(url, FilesDocument, { first: 2 }, admin);
    expect(data?.files.nodes).toHaveLength(2);
    expect(data?.files.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
    const after = data?.files.pageInfo.endCursor ?? null;
    const { data: next } = await ask(url, FilesDocument, { first: 2, after }, admin);
    expect(next?.files.pageInfo.hasPreviousPage).toBe(true);
    const before = next?.files.pageInfo.startCursor ?? null;
    const { data: back } = await ask(url, FilesDocument, { last: 2, before }, admin);
    expect(back?.files.nodes).toEqual(data?.files.nodes);
    const hashStartsWith = hash.slice(0, 12);
    const { data: found } = await ask(url, FilesDocument, { filter: { hashStartsWith } }, admin);
    expect(found?.files.nodes.map(node => node.hash)).toEqual([hash]);
  });

  test.each([
    [{ first: 0 }],
    [{ first: 101 }],
    [{ last: 1000 }],
    [{ after: "not a cursor" }],
    [{ filter: { hashStartsWith: "abc" } }],
    [{ filter: { hashStartsWith: "%%%%" } }],
  ])("is told that %j is a mistake", async variables => {
    const { errors } = await ask(url, FilesDocument, variables, admin);
    expect(errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });

  test("deletes without the password", async () => {
    const own = await store(url, "x");
    const { data } = await ask(url, DeleteFileDocument, { input: { hash: own } }, admin);
    expect(data?.deleteFile.deletedHash).toBe(own);
  });

  test("reads the buckets", async () => {
    expect((await ask(url, BucketsDocument, {}, admin)).data?.buckets).toHaveLength(6);
  });
});

describe("uploadFile", () => {
  const upload = (input: object, content?: Uint8Array<ArrayBuffer>) =>
    postFile(url, UploadFileDocument, { password: PASSWORD, ...input }, picture(content));

  test("stores the file", async () => {
    const { data } = await upload({
      chunkSize: 65_536,
      expiresIn: "P1D",
      maxDownloads: 3,
      expectedSha256: SHA256,
    });
    expect(data?.uploadFile.userErrors).toEqual([]);
    const { file } = data?.uploadFile ?? {};
    expect(file).toMatchObject({
      size: 200_000,
      name: "Grüße.png",
      mediaType: "image/png",
      sha256: SHA256,
      remainingDownloads: 3,
    });
    expect(Buffer.from(await (await fetch(await link(url, file?.hash ?? ""))).arrayBuffer())).toEqual(
      CONTENT,
    );
  });

  test.each([
    ["PASSWORD_TOO_SHORT", "password", { password: "short" }],
    ["CHUNK_SIZE_OUT_OF_RANGE", "chunkSize", { chunkSize: 1 }],
    ["EXPIRY_OUT_OF_RANGE", "expiresIn", { expiresIn: "PT0S" }],
    ["MAX_DOWNLOADS_OUT_OF_RANGE", "maxDownloads", { maxDownloads: 0 }],
    ["CHECKSUM_MISMATCH", "expectedSha256", { expectedSha256: UNKNOWN }],
  ])("says %s for %s", async (code, name, input) => {
    const before = await countRows(server.databaseUrl);
    const { data } = await upload(input);
    expect(data?.uploadFile).toMatchObject({ file: null, userErrors: [{ code, field: ["input", name] }] });
    expect(await countRows(server.databaseUrl)).toEqual(before);
  });

  test("says FILE_TOO_LARGE and keeps nothing", async () => {
    const before = await countRows(server.databaseUrl);
    const { data } = await upload({}, new Uint8Array(3 << 20));
    expect(data?.uploadFile.userErrors).toMatchObject([{ code: "FILE_TOO_LARGE" }]);
    expect(await countRows(server.databaseUrl)).toEqual(before);
  });

  test("that is cut short becomes no file", async () => {
    const before = await countRows(server.databaseUrl);
    const query = UploadFileDocument.toString();
    const head = [
      ["operations", JSON.stringify({ query, variables: { input: { password: PASSWORD, file: null } } })],
      ["map", '{"0":["variables.input.file"]}'],
    ].map(([name, value]) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`);
    const part = '--b\r\nContent-Disposition: form-data; name="0"; filename="x"\r\n\r\n';
    const answer = await fetch(`${url}/graphql`, {
      method: "POST",
      headers: { "Content-Type": "multipart/form-data; boundary=b", "Apollo-Require-Preflight": "1" },
      body: `${head.join("")}${part}${"x".repeat(100_000)}`,
    });
    expect(await bodyOf(answer)).toMatchObject({ errors: [{ extensions: { code: "BAD_USER_INPUT" } }] });
    expect(await countRows(server.databaseUrl)).toEqual(before);
  });
});

describe("the same mistake has the same code at both doors", () => {
  test.each([
    ["WRONG_PASSWORD", () => ({ hash, password: "not this one" })],
    ["NOT_FOUND", () => ({ hash: UNKNOWN, password: PASSWORD })],
  ])("%s", async (code, make) => {
    const input = make();
    const { data } = await ask(url, UnlockFileDocument, { input });
    const rest = await bodyOf(await retrieve(url, input.hash, { password: input.password }));
    expect(data?.unlockFile.userErrors).toMatchObject([{ code, message: rest["message"] }]);
    expect(rest["code"]).toBe(code);
  });

  test("MISSING_PASSWORD", async () => {
    const { data } = await ask(url, DeleteFileDocument, { input: { hash } });
    expect(data?.deleteFile).toMatchObject({ deletedHash: null, userErrors: [{ code: "MISSING_PASSWORD" }] });
    expect(await bodyOf(await fetch(`${url}/api/retrieve/${hash}`))).toMatchObject({
      code: "MISSING_PASSWORD",
    });
  });
});
