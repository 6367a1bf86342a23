/** /openapi.json says what is: valid by the standard, and every status and code of it is true when it is called. */
import SwaggerParser from "@apidevtools/swagger-parser";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";
import { PASSWORD, bodyOf, field, file, link, postForm, retrieve, store } from "./client.js";
import { sql } from "./tus/client.js";

/** What cannot be had by a request alone, and where it is shown. INTERNAL is a bug by its meaning. */
const SHOWN_ELSEWHERE = new Map([
  ["INTERNAL", "errors.test.ts"],
  ["IDENTITY_UNAVAILABLE", "tokens.test.ts"],
  ["SLOW_CLIENT", "slow.test.ts"],
  ["BUSY", "core/budget.test.ts"],
  ["STORAGE_UNAVAILABLE", "storage.test.ts"],
  ["STORAGE_FULL", "storage.test.ts"],
  ["FILE_UNAVAILABLE", "storage.test.ts"],
]);

interface Operation {
  readonly responses: Record<
    string,
    { content?: Record<string, { schema: { properties?: { code?: { enum: string[] } } } }> }
  >;
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
}

let server: TestServer;
let document: Document;
let hash: string;
beforeAll(async () => {
  server = await startServer({ RATE_LIMIT: "on", MAX_UPLOAD_SIZE: "100000" });
  document = (await (await fetch(`${server.url}/openapi.json`)).json()) as Document;
  hash = await store(server.url, "hello");
});
afterAll(() => server.stop());

const form = (...fields: Parameters<typeof field>[]) => [file("x"), ...fields.map(pair => field(...pair))];
const upload = (...fields: Parameters<typeof field>[]) =>
  postForm(server.url, form(["password", PASSWORD], ...fields));
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const ask = (path: string, init?: RequestInit) => fetch(server.url + path, init);
const askForLink = (method: string, init: RequestInit, of = hash, query = "") =>
  ask(`/api/retrieve/${of}${query}`, { method, ...init });
const withPassword = (password: string) => ({ headers: { "File-Password": btoa(password) } });
const tus = { "Tus-Resumable": "1.0.0" };

async function begin(): Promise<string> {
  const headers = { ...tus, "Upload-Length": "3", "Upload-Password": btoa(PASSWORD) };
  const answer = await ask("/files", { method: "POST", headers });
  return new URL(String(answer.headers.get("location"))).pathname;
}

/** What is over is so a moment after the download that ends it, or when its time has come. */
async function once(status: number, request: () => Promise<Response>): Promise<Response> {
  for (let tries = 0; tries < 100; tries++) {
    const answer = await request();
    if (answer.status === status) return answer;
    await answer.arrayBuffer();
    await sleep(50);
  }
  return request();
}

type Said = [operation: string, status: number, code: string, () => Promise<Response>];

const RETRIEVE = (method: "get" | "post"): Said[] => {
  const at = `${method} /api/retrieve/{hash}`;
  const M = method.toUpperCase();
  return [
    [at, 200, "", () => askForLink(M, withPassword(PASSWORD))],
    [at, 400, "BAD_REQUEST", () => askForLink(M, { headers: { "File-Password": "%" } })],
    [at, 400, "INVALID_HASH", () => askForLink(M, withPassword(PASSWORD), "12")],
    [at, 400, "EXPIRY_OUT_OF_RANGE", () => askForLink(M, withPassword(PASSWORD), hash, "?expires_in=0")],
    [at, 400, "MAX_DOWNLOADS_OUT_OF_RANGE", () => askForLink(M, withPassword(PASSWORD), hash, "?max_uses=0")],
    [at, 401, "MISSING_PASSWORD", () => askForLink(M, {})],
    [at, 401, "UNAUTHENTICATED", () => askForLink(M, { headers: bearer("wrong") })],
    [at, 403, "WRONG_PASSWORD", () => askForLink(M, withPassword("not this one"))],
    [at, 404, "NOT_FOUND", () => askForLink(M, withPassword(PASSWORD), "0".repeat(64))],
    [
      at,
      410,
      "FILE_GONE",
      async () => {
        const of = await store(server.url, "x", field("expires_in", "1"));
        return once(410, () => askForLink(M, withPassword(PASSWORD), of));
      },
    ],
    [at, 422, "PASSWORD_TOO_LONG", () => askForLink(M, withPassword("p".repeat(5000)))],
    [
      at,
      429,
      "TOO_MANY_ATTEMPTS",
      async () => {
        const own = await store(server.url, "x");
        for (let i = 0; i < 10; i++) await retrieve(server.url, own, { password: `wrong ${i}` });
        return askForLink(M, withPassword("wrong"), own);
      },
    ],
  ];
};

const DOWNLOAD = (method: "get" | "head"): Said[] => {
  const at = `${method} /d/{token}`;
  const init = (headers: Record<string, string> = {}) => ({ method: method.toUpperCase(), headers });
  const own = async () => link(server.url, hash);
  return [
    [at, 200, "", async () => fetch(await own(), init())],
    [at, 206, "", async () => fetch(await own(), init({ Range: "bytes=1-2" }))],
    [at, 304, "", async () => fetch(await own(), init({ "If-None-Match": `"${hash}"` }))],
    [at, 404, "NOT_FOUND", () => fetch(`${server.url}/d/nothing`, init())],
    [
      at,
      410,
      "FILE_GONE",
      async () => {
        const gone = await store(server.url, "x");
        const of = await link(server.url, gone);
        await sql(server.databaseUrl, `update files set expires_at = now() where hash = '\\x${gone}'`);
        return fetch(of, init());
      },
    ],
    [
      at,
      410,
      "LINK_EXPIRED",
      async () => {
        const over = await link(server.url, hash, { expires_in: "1" });
        return once(410, () => fetch(over, init()));
      },
    ],
    [at, 416, "RANGE_NOT_SATISFIABLE", async () => fetch(await own(), init({ Range: "bytes=9-" }))],
  ];
};

const SAID: Said[] = [
  ["post /api/upload", 201, "", () => upload()],
  ["post /api/upload", 400, "BAD_REQUEST", () => upload(["colour", "blue"])],
  ["post /api/upload", 400, "MISSING_FILE", () => postForm(server.url, [field("password", PASSWORD)])],
  ["post /api/upload", 400, "MISSING_PASSWORD", () => postForm(server.url, [file("x")])],
  ["post /api/upload", 400, "CHUNK_SIZE_OUT_OF_RANGE", () => upload(["chunk_size", "1e6"])],
  ["post /api/upload", 400, "EXPIRY_OUT_OF_RANGE", () => upload(["expires_in", "-1"])],
  ["post /api/upload", 400, "MAX_DOWNLOADS_OUT_OF_RANGE", () => upload(["max_downloads", "0"])],
  ["post /api/upload", 401, "UNAUTHENTICATED", () => postForm(server.url, [], bearer("wrong"))],
  ["post /api/upload", 413, "FILE_TOO_LARGE", () => postForm(server.url, [file("x".repeat(100_001))])],
  [
    "post /api/upload",
    415,
    "UNSUPPORTED_MEDIA_TYPE",
    () => ask("/api/upload", { method: "POST", body: "x" }),
  ],
  ["post /api/upload", 422, "PASSWORD_TOO_SHORT", () => postForm(server.url, form(["password", "short"]))],
  [
    "post /api/upload",
    422,
    "PASSWORD_TOO_LONG",
    () => postForm(server.url, form(["password", "p".repeat(5000)])),
  ],
  [
    "post /api/upload",
    422,
    "PASSWORD_TOO_COMMON",
    () => postForm(server.url, form(["password", "password1"])),
  ],
  ...RETRIEVE("get"),
  ...RETRIEVE("post"),
  ["post /api/retrieve/{hash}", 415, "UNSUPPORTED_MEDIA_TYPE", () => askForLink("POST", { body: "x" })],
  ...DOWNLOAD("get"),
  ...DOWNLOAD("head"),
  [
    "post /files",
    201,
    "",
    async () => {
      const headers = { ...tus, "Upload-Length": "3", "Upload-Password": btoa(PASSWORD) };
      return ask("/files", { method: "POST", headers });
    },
  ],
  ["head /files/{token}", 200, "", async () => ask(await begin(), { method: "HEAD", headers: tus })],
  [
    "patch /files/{token}",
    204,
    "",
    async () => {
      const headers = { ...tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream" };
      return ask(await begin(), { method: "PATCH", headers, body: "abc" });
    },
  ],
  ["delete /files/{token}", 204, "", async () => ask(await begin(), { method: "DELETE", headers: tus })],
  ["get /healthz", 200, "", () => ask("/healthz")],
  ["get /readyz", 200, "", () => ask("/readyz")],
  ["get /metrics", 200, "", () => ask("/metrics", { headers: bearer(server.adminToken) })],
  ["get /metrics", 401, "UNAUTHENTICATED", () => ask("/metrics")],
];

/** Needs another set-up than one server and one request; each with its test. */
const OTHERWISE_SHOWN = [
  "get /readyz 503", // server.test.ts: draining
  "get /metrics 403 FORBIDDEN", // tokens.test.ts: a token of another role
  "post /api/upload 403 FORBIDDEN", // tokens.test.ts
  "post /api/upload 429 RATE_LIMITED", // rest/upload.test.ts
];

describe("/openapi.json", () => {
  test("is valid OpenAPI 3.1", async () => {
    expect(document.openapi).toBe("3.1.0");
    await SwaggerParser.validate(structuredClone(document) as never);
  });

  test.each(SAID)("%s answers %d %s", async (operation, status, code, request) => {
    const [method = "", path = ""] = operation.split(" ");
    const answer = await request();
    expect(answer.status).toBe(status);
    if (code !== "" && method !== "head") expect((await bodyOf(answer))["code"]).toBe(code);
    expect(document.paths[path]?.[method]?.responses).toHaveProperty(String(status));
  });

  test("says nothing that is not shown to be true", () => {
    const shown = new Set([
      ...SAID.map(([at, status, code]) => `${at} ${status} ${code}`.trim()),
      ...OTHERWISE_SHOWN,
    ]);
    expect(said().filter(line => !shown.has(line))).toEqual([]);
    expect([...shown].filter(line => !said().includes(line))).toEqual([]);
  });
});

/** `method path status code`, one line a code. */
function said(): string[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, { responses }]) =>
      Object.entries(responses).flatMap(([status, { content }]) => {
        const codes = content?.["application/json"]?.schema.properties?.code?.enum ?? [""];
        return codes
          .filter(code => !SHOWN_ELSEWHERE.has(code))
          .map(code => `${method} ${path} ${status} ${code}`.trim());
      }),
    ),
  );
}
