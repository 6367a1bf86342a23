import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { request } from "node:http";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { until } from "../../support/until.js";
import type { Part } from "../client.js";
import {
  FORM_TYPE,
  PASSWORD,
  bodyOf,
  countRows,
  errorOf,
  field,
  file,
  formBody,
  link,
  postForm,
  rawClient,
  store,
} from "../client.js";

const CONTENT = randomBytes(300_000);

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ MAX_UPLOAD_SIZE: "2MiB" });
});
afterAll(() => server.stop());

async function download(hash: string): Promise<Buffer> {
  return Buffer.from(await (await fetch(await link(server.url, hash))).arrayBuffer());
}

async function chunkSizes(hash: string): Promise<number[]> {
  const answer = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${server.adminToken}` },
    body: JSON.stringify({
      query: `{ file(hash: "${hash}") { chunks(first: 100, filter: { kind: DATA }) { nodes { storedSize } } } }`,
    }),
  });
  const { data } = (await answer.json()) as {
    data: { file: { chunks: { nodes: { storedSize: number }[] } } };
  };
  return data.file.chunks.nodes.map(({ storedSize }) => storedSize);
}

describe("POST /api/upload", () => {
  const password = field("password", PASSWORD);
  const chunkSize = field("chunk_size", "65536");
  const expiresIn = field("expires_in", "3600");
  const maxDownloads = field("max_downloads", "5");

  test.each<[string, Part[]]>([
    ["file first, as curl users write it", [file(CONTENT), password, chunkSize]],
    ["chunk_size before the file", [chunkSize, file(CONTENT), password]],
    ["file last", [password, chunkSize, file(CONTENT)]],
    ["everything", [expiresIn, file(CONTENT), maxDownloads, chunkSize, password]],
  ])("takes the fields in any order: %s", async (_, parts) => {
    const answer = await postForm(server.url, parts);
    const body = await bodyOf(answer);
    expect(answer.status).toBe(201);
    expect(body).toEqual({ status: "success", hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    const hash = String(body["hash"]);
    expect(await download(hash)).toEqual(CONTENT);
    expect((await chunkSizes(hash)).slice(0, -1)).toEqual([65_536, 65_536, 65_536, 65_536]);
  });

  test("takes an empty file", async () => {
    expect(await download(await store(server.url, ""))).toHaveLength(0);
  });

  test("takes a body of unknown length", async () => {
    const body = formBody([file(CONTENT), password]);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const req = request(`${server.url}/api/upload`, {
      method: "POST",
      headers: { "Content-Type": FORM_TYPE },
    });
    req.on("error", reject).on("response", async res => {
      resolve(Buffer.concat(await res.toArray()).toString());
    });
    for (let at = 0; at < body.length; at += 50_000) {
      req.write(body.subarray(at, at + 50_000));
      await sleep(5);
    }
    req.end();
    expect(await download(JSON.parse(await promise).hash)).toEqual(CONTENT);
  });

  test("equal files have different hashes", async () => {
    expect(await store(server.url, "same")).not.toBe(await store(server.url, "same"));
  });

  test.each<[string, number, string, Part[]]>([
    ["no file", 400, "MISSING_FILE", [password]],
    ["a file part without a file name", 400, "MISSING_FILE", [{ name: "file", value: "x" }, password]],
    ["an empty file name, as browsers send for none", 400, "MISSING_FILE", [file("", ""), password]],
    ["no password", 400, "MISSING_PASSWORD", [file("x")]],
    ["an empty password", 400, "MISSING_PASSWORD", [file("x"), field("password", "")]],
    [
      "a short password before the file",
      422,
      "PASSWORD_TOO_SHORT",
      [field("password", "1234567"), file("x")],
    ],
    ["a short password after the file", 422, "PASSWORD_TOO_SHORT", [file("x"), field("password", "1234567")]],
    ["a password of 1025 bytes", 422, "PASSWORD_TOO_LONG", [file("x"), field("password", "p".repeat(1025))]],
    [
      "a password that is not UTF-8, which nobody could give a second time",
      400,
      "BAD_REQUEST",
      [file("x"), { name: "password", value: Buffer.from("pässwörter", "latin1") }],
    ],
    ["a field of 9 KiB", 400, "BAD_REQUEST", [file("x"), field("password", "p".repeat(9000))]],
    ["two files", 400, "BAD_REQUEST", [file("x"), file("y"), password]],
    ["two passwords", 400, "BAD_REQUEST", [password, password, file("x")]],
    ["an unknown field", 400, "BAD_REQUEST", [password, field("chunksize", "65536"), file("x")]],
    ["a file by another name", 400, "BAD_REQUEST", [{ ...file("x"), name: "upload" }, password]],
    ["expires_in=0", 400, "EXPIRY_OUT_OF_RANGE", [file("x"), password, field("expires_in", "0")]],
    ["expires_in=soon", 400, "EXPIRY_OUT_OF_RANGE", [field("expires_in", "soon"), file("x"), password]],
    [
      "max_downloads=0",
      400,
      "MAX_DOWNLOADS_OUT_OF_RANGE",
      [file("x"), password, field("max_downloads", "0")],
    ],
    ["3 MiB where 2 are allowed", 413, "FILE_TOO_LARGE", [file(randomBytes(3 << 20)), password]],
    ["just over 2 MiB", 413, "FILE_TOO_LARGE", [file(randomBytes((2 << 20) + 1)), password]],
  ])("refuses %s: %d %s", async (_, status, code, parts) => {
    const before = await countRows(server.databaseUrl);
    expect(await errorOf(await postForm(server.url, parts))).toEqual({ status, code });
    expect(await countRows(server.databaseUrl)).toEqual(before);
  });

  describe("chunk_size", () => {
    test.each([
      "0",
      "1",
      "-1",
      "1023",
      "67108865",
      "2147483648",
      "9007199254740992",
      "NaN",
      "1e9",
      "1.5",
      "",
      " 65536",
      "0x10000",
    ])("%j is out of range, before and after the file", async value => {
      for (const parts of [
        [field("chunk_size", value), file("x"), password],
        [file("x"), field("chunk_size", value), password],
      ]) {
        expect(await errorOf(await postForm(server.url, parts))).toEqual({
          status: 400,
          code: "CHUNK_SIZE_OUT_OF_RANGE",
        });
      }
    });

    test.each(["1024", "67108864"])("%s is taken", async value => {
      expect(await store(server.url, "x", field("chunk_size", value))).toMatch(/^[0-9a-f]{64}$/);
    });
  });

  test("says what was wrong, where, and which request it was", async () => {
    const answer = await postForm(server.url, [field("chunk_size", "1"), file("x"), password], {
      "X-Request-Id": "my-request-1",
    });
    expect(answer.headers.get("x-request-id")).toBe("my-request-1");
    expect(await bodyOf(answer)).toEqual({
      status: "error",
      code: "CHUNK_SIZE_OUT_OF_RANGE",
      message: "The chunk size must be a whole number of bytes from 1024 to 67108864.",
      field: "chunk_size",
      request_id: "my-request-1",
    });
  });

  test.each([
    ["application/json", "{}"],
    ["text/plain", "x"],
    ["application/x-www-form-urlencoded", "password=x"],
  ])("does not read %s", async (type, body) => {
    const answer = await fetch(`${server.url}/api/upload`, {
      method: "POST",
      headers: { "Content-Type": type },
      body,
    });
    expect(await errorOf(answer)).toEqual({ status: 415, code: "UNSUPPORTED_MEDIA_TYPE" });
  });

  test("a form without a boundary is a mistake, not a fault", async () => {
    const headers = { "Content-Type": "multipart/form-data" };
    const answer = await fetch(`${server.url}/api/upload`, { method: "POST", headers, body: "x" });
    expect(await errorOf(answer)).toEqual({ status: 400, code: "BAD_REQUEST" });
  });

  test("bad input before the file is answered without the file being sent", async () => {
    const client = await rawClient(server.url);
    const head = formBody([field("chunk_size", "1"), file("x", "big.bin"), password]);
    client.socket.write(
      `POST /api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: ${FORM_TYPE}\r\nContent-Length: 1500000\r\n\r\n`,
    );
    client.socket.write(head.subarray(0, 300));
    const answer = await client.answered(20_000);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toMatch(/\r\nConnection: close\r\n/);
    expect(answer).toContain("CHUNK_SIZE_OUT_OF_RANGE");
    expect(await client.closed(20_000)).toBe(true);
  });

  describe("a form that is cut short becomes no file", () => {
    const whole = formBody([password, file(CONTENT)]);
    test.each([
      ["in the file", whole.length - 50_000],
      ["in the last boundary", whole.length - 6],
      ["in the header of a part", 200],
      ["before the first part", 0],
    ])("%s, the body having ended", async (_, length) => {
      const before = await countRows(server.databaseUrl);
      const answer = await fetch(`${server.url}/api/upload`, {
        method: "POST",
        headers: { "Content-Type": FORM_TYPE },
        body: new Uint8Array(whole.subarray(0, length)),
      });
      expect(await errorOf(answer)).toEqual({ status: 400, code: "BAD_REQUEST" });
      expect(await countRows(server.databaseUrl)).toEqual(before);
    });

    test("in the file, the client having gone", async () => {
      const before = await countRows(server.databaseUrl);
      const client = await rawClient(server.url);
      client.socket.write(
        `POST /api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: ${FORM_TYPE}\r\nContent-Length: ${whole.length}\r\n\r\n`,
      );
      client.socket.write(whole.subarray(0, 200_000));
      const receiving = async () => (await countRows(server.databaseUrl)).receiving;
      await until(async () => (await receiving()) > before.receiving);
      client.socket.destroy();
      await until(async () => (await receiving()) === before.receiving);
      expect(await countRows(server.databaseUrl)).toEqual(before);
    });
  });
});
