import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Writable } from "node:stream";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";
import {
  FORM_TYPE,
  PASSWORD,
  bodyOf,
  errorOf,
  field,
  file,
  formBody,
  link,
  postForm,
  rawClient,
  retrieve,
  store,
} from "./client.js";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ CORS_ORIGINS: "https://app.example" });
});
afterAll(() => server.stop());

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

describe("every answer", () => {
  test.each([
    ["GET", "/healthz", 200, ""],
    ["GET", "/readyz", 200, ""],
    ["GET", "/nowhere", 404, "NOT_FOUND"],
    ["GET", "/", 404, "NOT_FOUND"],
    ["GET", "/api/upload", 405, "METHOD_NOT_ALLOWED"],
    ["PUT", "/api/upload", 405, "METHOD_NOT_ALLOWED"],
    ["DELETE", "/healthz", 405, "METHOD_NOT_ALLOWED"],
    ["GET", "/api/retrieve/", 404, "NOT_FOUND"],
    ["GET", "/%zz", 404, "NOT_FOUND"],
    ["GET", "/api/retrieve/%zz", 400, "BAD_REQUEST"],
    ["GET", "/api/upload/../../etc/passwd", 404, "NOT_FOUND"],
    ["GET", "/API/UPLOAD", 404, "NOT_FOUND"],
  ])("%s %s: %d %s, with an id, in JSON, kept by no cache", async (method, path, status, code) => {
    const answer = await fetch(server.url + path, { method });
    expect(answer.status).toBe(status);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "cache-control": "no-store",
      "content-security-policy": expect.stringContaining("default-src 'none'"),
      "content-type": "application/json; charset=utf-8",
      "referrer-policy": "no-referrer",
      "strict-transport-security": expect.stringMatching(/^max-age=\d{8}/),
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "x-request-id": expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(answer.headers.has("x-powered-by")).toBe(false);
    const body = await bodyOf(answer);
    if (code !== "")
      expect(body).toMatchObject({ status: "error", code, request_id: answer.headers.get("x-request-id") });
  });

  test("a 405 names the methods there are", async () => {
    expect((await fetch(`${server.url}/api/upload`)).headers.get("allow")).toBe("POST");
  });

  test.each(["a".repeat(65), "x y", "<script>", ""])("takes over no request id like %j", async id => {
    const answer = await fetch(`${server.url}/healthz`, { headers: { "X-Request-Id": id } });
    expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("other origins", () => {
  const preflight = (origin: string) =>
    fetch(`${server.url}/api/upload`, {
      method: "OPTIONS",
      headers: {
        Origin: origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
      },
    });

  test("that are listed may read answers, never with credentials", async () => {
    const answer = await preflight("https://app.example");
    expect(answer.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(answer.headers.get("access-control-allow-headers")).toContain("Upload-Offset");
    expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
    const get = await fetch(`${server.url}/healthz`, { headers: { Origin: "https://app.example" } });
    expect(get.headers.get("access-control-expose-headers")).toContain("File-Hash");
  });

  test.each(["https://evil.example", "null", "https://app.example.evil.example"])(
    "%s may not",
    async origin => {
      expect((await preflight(origin)).headers.get("access-control-allow-origin")).toBeNull();
    },
  );
});

describe("administrators", () => {
  test("read the metrics, others do not", async () => {
    const at = `${server.url}/metrics`;
    const answer = await fetch(at, { headers: bearer(server.adminToken) });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain("process_cpu");
    expect(await errorOf(await fetch(at))).toEqual({ status: 401, code: "UNAUTHENTICATED" });
    const wrong = await fetch(at, { headers: bearer("wrong") });
    expect(wrong.headers.get("www-authenticate")).toBe("Bearer");
    expect(await errorOf(wrong)).toEqual({ status: 401, code: "UNAUTHENTICATED" });
  });

  test("with a token that is not valid are told so, whatever they ask", async () => {
    const form = [file("x"), field("password", PASSWORD)];
    expect(await errorOf(await postForm(server.url, form, bearer("wrong")))).toEqual({
      status: 401,
      code: "UNAUTHENTICATED",
    });
  });
});

test("smuggled requests are refused", async () => {
  for (const headers of [
    "Content-Length: 3\r\nTransfer-Encoding: chunked",
    "Content-Length: 3\r\nContent-Length: 4",
  ]) {
    const client = await rawClient(server.url);
    client.socket.write(
      `POST /api/upload HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n`,
    );
    expect(await client.closed(20_000)).toBe(true);
    expect(client.received()).toMatch(/^HTTP\/1\.1 400 /);
    expect(client.received()).not.toContain('"ok"');
  }
});

test("no secret is in any log line", async () => {
  const lines: string[] = [];
  const logTo = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const canary = "canary-7f3a-canary";
  await using own = await startServer({ LOG_LEVEL: "debug" }, { logTo });
  const hash = await store(own.url, `content ${canary}`);
  const secret = String(
    (await bodyOf(await postForm(own.url, [file("x", `${canary}.txt`), field("password", canary)])))["hash"],
  );
  const url = await link(own.url, secret, { password: canary });
  const token = String(url.split("/").at(-1));
  await (await fetch(url)).text();
  await fetch(`${url}?password=${canary}`, { headers: { Range: `bytes=${canary}` } });
  await retrieve(own.url, hash, { password: `wrong ${canary}` });
  const json = { "Content-Type": "application/json" };
  const asked: [string, RequestInit][] = [
    [`/api/retrieve/${hash}`, { method: "POST", headers: json, body: `{"password": ${canary}` }],
    [
      `/api/retrieve/${hash}`,
      { headers: { "File-Password": canary, Authorization: `Basic ${btoa(`:${canary}`)}` } },
    ],
    [`/api/retrieve/${hash}`, { headers: { Authorization: `Bearer ${canary}` } }],
    [`/nowhere?password=${canary}`, {}],
    ["/graphql", { method: "POST", headers: json, body: `{"query": "{ ${canary}` }],
    ["/graphql", { method: "POST", headers: json, body: JSON.stringify({ query: `{ a(b: "${canary}") }` }) }],
    [
      "/graphql",
      {
        method: "POST",
        headers: json,
        body: JSON.stringify({
          query: "mutation ($i: UnlockFileInput!) { unlockFile(input: $i) { userErrors { code } } }",
          variables: { i: { hash: 1, password: canary } },
        }),
      },
    ],
  ];
  for (const [path, init] of asked) {
    const answer = await fetch(own.url + path, init);
    const text = await answer.text();
    if (!path.startsWith("/graphql") || answer.status !== 200) expect(text).not.toContain(canary);
  }
  expect(lines.length).toBeGreaterThan(8);
  const log = lines.join("");
  expect(log).not.toContain(canary);
  expect(log).not.toContain(btoa(`:${canary}`));
  expect(log).not.toContain(token);
  expect(log).not.toContain(own.adminToken);
});

test("draining: not ready at once, requests under way are finished, new connections are refused", async () => {
  const own = await startServer({ DRAIN_SECONDS: "5" });
  const body = formBody([file("x".repeat(50_000)), field("password", PASSWORD)]);
  const client = await rawClient(own.url);
  client.socket.write(
    `POST /api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: ${FORM_TYPE}\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  client.socket.write(body.subarray(0, 20_000));
  const idle = await rawClient(own.url);
  idle.socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(await idle.answered(20_000)).toContain("200 OK");
  const stopping = own.stop();
  expect(await idle.closed(20_000)).toBe(true);
  await expect(fetch(`${own.url}/readyz`)).rejects.toThrow();
  client.socket.write(body.subarray(20_000));
  const answer = await client.answered(20_000);
  expect(answer).toMatch(/^HTTP\/1\.1 201 /);
  expect(await client.closed(20_000)).toBe(true);
  await stopping;
});
