import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "content-disposition";
import fc from "fast-check";
import { safeName } from "../../../src/api/rest/file-name.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { PASSWORD, bodyOf, errorOf, field, file, link, postForm, rawClient, store } from "../client.js";

const CONTENT = randomBytes(200_000);

let server: TestServer;
let hash: string;
let url: string;
beforeAll(async () => {
  server = await startServer();
  hash = await store(server.url, CONTENT, field("chunk_size", "65536"));
  url = await link(server.url, hash);
});
afterAll(() => server.stop());

const get = (headers: Record<string, string> = {}, method = "GET") => fetch(url, { method, headers });
const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer());

describe("GET /d/<token>", () => {
  test("gives the file, as nothing but something to save", async () => {
    const answer = await get();
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "accept-ranges": "bytes",
      "cache-control": "private, no-store",
      "content-disposition": "attachment; filename=a.txt",
      "content-length": "200000",
      "content-security-policy": "sandbox; default-src 'none'",
      "content-type": "text/plain",
      "cross-origin-resource-policy": "same-origin",
      etag: `"${hash}"`,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    });
    expect(answer.headers.has("x-powered-by")).toBe(false);
    expect(await bytesOf(answer)).toEqual(CONTENT);
  });

  test("HEAD gives the same headers, no bytes, and counts no use", async () => {
    url = await link(server.url, hash, { max_uses: "1" });
    for (let i = 0; i < 3; i++) {
      const answer = await get({}, "HEAD");
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-length")).toBe("200000");
      expect(await answer.text()).toBe("");
    }
    expect((await bytesOf(await get())).length).toBe(CONTENT.length);
    expect(await errorOf(await get())).toEqual({ status: 410, code: "LINK_EXPIRED" });
    url = await link(server.url, hash);
  });

  test.each([
    ["bytes=0-0", 0, 1],
    ["bytes=0-99999", 0, 100_000],
    ["bytes=65530-65540", 65_530, 65_541],
    ["bytes=199999-", 199_999, 200_000],
    ["bytes=-10", 199_990, 200_000],
    ["bytes=100000-999999", 100_000, 200_000],
  ])("Range: %s gives exactly those bytes", async (range, start, end) => {
    const answer = await get({ Range: range });
    expect(answer.status).toBe(206);
    expect(answer.headers.get("content-range")).toBe(`bytes ${start}-${end - 1}/200000`);
    expect(answer.headers.get("content-length")).toBe(String(end - start));
    expect(await bytesOf(answer)).toEqual(CONTENT.subarray(start, end));
  });

  test("a range outside is 416 and says how long the file is", async () => {
    const answer = await get({ Range: "bytes=200000-" });
    expect(answer.headers.get("content-range")).toBe("bytes */200000");
    expect(await errorOf(answer)).toEqual({ status: 416, code: "RANGE_NOT_SATISFIABLE" });
  });

  test.each(["bytes=0-0,5-9", `bytes=${Array(1000).fill("1-2").join(",")}`, "bytes=9-1", "chapters=1-2"])(
    "Range: %.20s gives the whole file",
    async range => {
      const answer = await get({ Range: range });
      expect(answer.status).toBe(200);
      expect((await bytesOf(answer)).length).toBe(CONTENT.length);
    },
  );

  test("If-Range keeps a range only for the same file", async () => {
    expect((await get({ Range: "bytes=0-1", "If-Range": `"${hash}"` })).status).toBe(206);
    expect((await get({ Range: "bytes=0-1", "If-Range": '"other"' })).status).toBe(200);
  });

  test("If-None-Match with the file's tag is 304, without bytes", async () => {
    const answer = await get({ "If-None-Match": `"x", W/"${hash}"` });
    expect(answer.status).toBe(304);
    expect(answer.headers.get("etag")).toBe(`"${hash}"`);
    expect(await answer.text()).toBe("");
  });

  test.each([
    ["an unknown token", `/d/${"A".repeat(43)}`, 404],
    ["a token of another shape", "/d/x", 404],
    ["a path for a token", "/d/..%2f..%2fetc%2fpasswd", 404],
    ["NUL", "/d/%00", 404],
    ["a broken escape", "/d/%zz", 400],
    ["a broken UTF-8 escape", "/d/%ff", 400],
    ["no token", "/d/", 404],
  ])("%s is no file", async (_, path, status) => {
    expect((await fetch(server.url + path)).status).toBe(status);
  });

  test("a method that changes things is 405 and names those that do not", async () => {
    const answer = await get({}, "DELETE");
    expect(answer.headers.get("allow")).toBe("GET, HEAD");
    expect(await errorOf(answer)).toEqual({ status: 405, code: "METHOD_NOT_ALLOWED" });
  });

  test.each(["text/html", "image/svg+xml", "application/xml", "application/pdf", "application/javascript"])(
    "%s comes as an attachment in a sandbox",
    async type => {
      const form = [file("<script>alert(1)</script>", "x.html", type), field("password", PASSWORD)];
      const own = String((await bodyOf(await postForm(server.url, form)))["hash"]);
      const answer = await fetch(await link(server.url, own));
      expect(answer.headers.get("content-type")).toBe(type);
      expect(answer.headers.get("content-disposition")).toMatch(/^attachment;/);
      expect(answer.headers.get("content-security-policy")).toBe("sandbox; default-src 'none'");
      expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    },
  );

  test("any name comes back safe, in one header", async () => {
    // In a part's header a browser sends quotes and line ends as %22, %0D and %0A, so those are no input here.
    const name = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 60 })
      .filter(text => !/["\r\n\\\0]/.test(text));
    await fc.assert(
      fc.asyncProperty(name, async given => {
        const answer = await postForm(server.url, [file("x", given), field("password", PASSWORD)]);
        const body = await bodyOf(answer);
        if (body["code"] === "MISSING_FILE") return; // nothing but a path
        expect(answer.status).toBe(201);
        const header = (await fetch(await link(server.url, String(body["hash"])))).headers.get(
          "content-disposition",
        );
        expect(parse(header ?? "").parameters["filename"]).toBe(safeName(given));
      }),
      { numRuns: 25 },
    );
  });

  test("a name of 10,000 letters, with what breaks headers, comes back short", async () => {
    const given = `${"x".repeat(10_000)}%0D%0ASet-Cookie: a=b;\u202e.pdf`;
    const answer = await postForm(server.url, [file("x", given), field("password", PASSWORD)]);
    const saved = await fetch(await link(server.url, String((await bodyOf(answer))["hash"])));
    expect(saved.headers.get("content-disposition")).toMatch(/^attachment; filename=x{100,200}\.pdf$/);
    expect(saved.headers.has("set-cookie")).toBe(false);
  });

  test("a file with nothing left to read is an error, not a broken download", async () => {
    const lost = await link(server.url, await store(server.url, "to be lost"));
    const intact = await bytesOf(await get());
    for (const bucket of await readdir(join(server.dataDir, "buckets"))) {
      await rm(join(server.dataDir, "buckets", bucket), { recursive: true, force: true });
    }
    expect(intact).toEqual(CONTENT);
    const answer = await fetch(lost);
    expect(answer.headers.get("content-disposition")).toBeNull();
    expect(await errorOf(answer)).toEqual({ status: 503, code: "FILE_UNAVAILABLE" });
  });
});

test("a reader that takes nothing is cut off, an honest slow one is not", async () => {
  await using own = await startServer({}, { limits: { stallTimeoutMs: 2000 } });
  const path = new URL(await link(own.url, await store(own.url, randomBytes(30 << 20)))).pathname;
  const ask = `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

  const stalled = await rawClient(own.url);
  stalled.socket.write(ask);
  stalled.socket.pause();
  const slow = await rawClient(own.url);
  slow.socket.write(ask);
  slow.socket.pause();
  const drip = setInterval(() => slow.socket.resume().once("data", () => slow.socket.pause()), 50);
  await new Promise(resolve => setTimeout(resolve, 5000));
  clearInterval(drip);
  expect(slow.isClosed()).toBe(false);
  slow.socket.destroy();
  stalled.socket.resume();
  expect(await stalled.closed(20_000)).toBe(true);
  expect(stalled.received().length).toBeLessThan(30 << 20);
});
