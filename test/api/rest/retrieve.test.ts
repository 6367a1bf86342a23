import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { bodyOf, errorOf, field, file, link, postForm, retrieve, store } from "../client.js";

const PASSPHRASE = "pässwörd 🐎 : with colons";
const base64 = (text: string) => Buffer.from(text).toString("base64");
const json = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});
const form = (body: string): RequestInit => ({
  method: "POST",
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
  body,
});

let server: TestServer;
let hash: string;
let at: (query?: string) => string;
beforeAll(async () => {
  server = await startServer({ RATE_LIMIT: "on" });
  const answer = await postForm(server.url, [file("hello"), field("password", PASSPHRASE)]);
  hash = String((await bodyOf(answer))["hash"]);
  at = (query = "") => `${server.url}/api/retrieve/${hash}${query}`;
});
afterAll(() => server.stop());

describe("/api/retrieve/<hash>", () => {
  const query = `?password=${encodeURIComponent(PASSPHRASE)}`;
  test.each<[string, () => Promise<Response>]>([
    ["the query", () => fetch(at(query))],
    ["File-Password", () => fetch(at(), { headers: { "File-Password": base64(PASSPHRASE) } })],
    [
      "HTTP Basic, any user",
      () => fetch(at(), { headers: { Authorization: `Basic ${base64(`me:${PASSPHRASE}`)}` } }),
    ],
    [
      "HTTP Basic, no user",
      () => fetch(at(), { headers: { Authorization: `Basic ${base64(`:${PASSPHRASE}`)}` } }),
    ],
    ["a JSON body", () => fetch(at(), json({ password: PASSPHRASE }))],
    ["a form body", () => fetch(at(), form(new URLSearchParams({ password: PASSPHRASE }).toString()))],
    [
      "a header of a POST without a body",
      () => fetch(at(), { method: "POST", headers: { "File-Password": base64(PASSPHRASE) } }),
    ],
    ["two places that agree", () => fetch(at(query), { headers: { "File-Password": base64(PASSPHRASE) } })],
  ])("takes the password from %s", async (_, ask) => {
    const answer = await ask();
    expect(answer.status).toBe(200);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    const body = await bodyOf(answer);
    expect(body).toEqual({
      status: "success",
      download_link: expect.stringMatching(new RegExp(`^${server.url}/d/[\\w-]{43}$`)),
    });
    expect(await (await fetch(String(body["download_link"]))).text()).toBe("hello");
  });

  test.each<[string, number, string, () => Promise<Response>]>([
    ["no password", 401, "MISSING_PASSWORD", () => fetch(at())],
    ["an empty password", 401, "MISSING_PASSWORD", () => fetch(at("?password="))],
    ["an empty POST", 401, "MISSING_PASSWORD", () => fetch(at(), { method: "POST" })],
    ["a wrong password", 403, "WRONG_PASSWORD", () => fetch(at("?password=not+this+one"))],
    ["an unknown hash", 404, "NOT_FOUND", () => retrieve(server.url, "0".repeat(64))],
    ["half a hash", 400, "INVALID_HASH", () => retrieve(server.url, hash.slice(32))],
    ["a hash in capitals", 400, "INVALID_HASH", () => retrieve(server.url, "A".repeat(64))],
    ["a path for a hash", 400, "INVALID_HASH", () => retrieve(server.url, "..%2f..%2fetc%2fpasswd")],
    ["NUL in a hash", 400, "INVALID_HASH", () => retrieve(server.url, "%00")],
    [
      "two different passwords",
      400,
      "BAD_REQUEST",
      () => fetch(at(query), json({ password: "another one" })),
    ],
    [
      "a password in query and header that differ",
      400,
      "BAD_REQUEST",
      () => fetch(at(query), { headers: { "File-Password": base64("another one") } }),
    ],
    ["a password twice in the query", 400, "BAD_REQUEST", () => fetch(at("?password=a&password=b"))],
    [
      "File-Password that is no base64",
      400,
      "BAD_REQUEST",
      () => fetch(at(), { headers: { "File-Password": "%%%" } }),
    ],
    [
      "File-Password that is no UTF-8",
      400,
      "BAD_REQUEST",
      () => fetch(at(), { headers: { "File-Password": "/w==" } }),
    ],
    [
      "malformed JSON",
      400,
      "BAD_REQUEST",
      () => fetch(at(), { ...json(null), body: '{"password": canary}' }),
    ],
    ["JSON that is a list", 401, "MISSING_PASSWORD", () => fetch(at(), json([1]))],
    ["a password that is an object", 400, "BAD_REQUEST", () => fetch(at(), json({ password: { $ne: 1 } }))],
    ["a body of 20 KiB", 400, "BAD_REQUEST", () => fetch(at(), json({ password: "p".repeat(20_000) }))],
    [
      "text",
      415,
      "UNSUPPORTED_MEDIA_TYPE",
      () => fetch(at(), { method: "POST", headers: { "Content-Type": "text/plain" }, body: "x" }),
    ],
    ["expires_in of 8 days", 400, "EXPIRY_OUT_OF_RANGE", () => fetch(at(`${query}&expires_in=691200`))],
    ["expires_in=1e3", 400, "EXPIRY_OUT_OF_RANGE", () => fetch(at(`${query}&expires_in=1e3`))],
    ["max_uses=0", 400, "MAX_DOWNLOADS_OUT_OF_RANGE", () => fetch(at(`${query}&max_uses=0`))],
    ["HEAD, which could make a link nobody sees", 405, "", () => fetch(at(query), { method: "HEAD" })],
    ["PUT", 405, "METHOD_NOT_ALLOWED", () => fetch(at(query), { method: "PUT" })],
  ])("answers %s with %d %s", async (_, status, code, ask) => {
    const answer = await ask();
    expect(answer.status).toBe(status);
    if (code !== "") expect((await bodyOf(answer))["code"]).toBe(code);
    if (status === 401) expect(answer.headers.get("www-authenticate")).toMatch(/^Basic realm=/);
  });

  test("takes expires_in and max_uses from a JSON body, as numbers or texts", async () => {
    const answer = await fetch(at(), json({ password: PASSPHRASE, expires_in: 60, max_uses: "1" }));
    const url = String((await bodyOf(answer))["download_link"]);
    expect((await fetch(url)).status).toBe(200);
    await new Promise(resolve => setTimeout(resolve, 100));
    expect(await errorOf(await fetch(url))).toEqual({ status: 410, code: "LINK_EXPIRED" });
  });

  test("a link ends with its time", async () => {
    const url = await link(server.url, await store(server.url, "x"), { expires_in: "1" });
    await new Promise(resolve => setTimeout(resolve, 2100)); // whole seconds, rounded up
    expect(await errorOf(await fetch(url))).toEqual({ status: 410, code: "LINK_EXPIRED" });
  });

  test("wrong passwords have an end, the right one does not use them up", async () => {
    const own = await store(server.url, "x");
    for (let i = 0; i < 12; i++) expect((await retrieve(server.url, own)).status).toBe(200);
    const answers: Response[] = [];
    for (let i = 0; i < 12; i++) answers.push(await retrieve(server.url, own, { password: `wrong ${i}` }));
    const last = answers.at(-1);
    expect(answers.filter(({ status }) => status === 403).length).toBeLessThanOrEqual(10);
    expect(last?.status).toBe(429);
    expect(Number(last?.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(last && (await bodyOf(last))).toMatchObject({
      code: "TOO_MANY_ATTEMPTS",
      retry_after: expect.any(Number),
    });
  });
});
