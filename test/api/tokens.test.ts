/** Whose bearer token opens which door: the administrator's own, and those of an OpenID provider (threat T30). */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { ANSWERS } from "../../src/api/errors.js";
import { CreateUploadDocument, UploadFileDocument, UploadSessionsDocument } from "../generated/graphql.js";
import { IdentityProvider, inSeconds } from "../support/identity-provider.js";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";
import { bodyOf, field, file, PASSWORD, postForm, retrieve, store } from "./client.js";
import type { GraphqlAnswer } from "./graphql/client.js";
import { ask, post, postFile } from "./graphql/client.js";
import { begin, BODY, tus } from "./tus/client.js";

type Headers = Record<string, string>;

let provider: IdentityProvider;
let server: TestServer;
beforeAll(async () => {
  provider = await IdentityProvider.start();
  server = await startServer({ ...provider.env, UPLOADS: "authenticated" });
});
afterAll(async () => {
  await server.stop();
  await provider.stop();
});

const bearer = (token: string): Headers => ({ Authorization: `Bearer ${token}` });
const PREFLIGHT = { "Apollo-Require-Preflight": "1" };

/** Ways to begin an upload; each tells the code with which it was refused, or null. */
const DOORS: Record<string, (headers: Headers) => Promise<unknown>> = {
  async "REST upload"(headers) {
    const answer = await postForm(server.url, [file("x"), field("password", PASSWORD)], headers);
    return (await bodyOf(answer))["code"] ?? null;
  },
  async "tus creation"(headers) {
    return codeOfText((await begin(server.url, { "Upload-Length": "1", ...headers })).reply.text);
  },
  async "tus creation of a whole out of parts"(headers) {
    const part = { "Upload-Concat": "partial", "Upload-Length": "1", ...bearer(server.adminToken) };
    const { location } = await begin(server.url, { ...BODY, ...part }, Buffer.from("x"));
    const final = { "Upload-Concat": `final;${new URL(location).pathname}`, ...headers };
    return codeOfText((await begin(server.url, final)).reply.text);
  },
  async "GraphQL createUpload"(headers) {
    const input = { filename: "x", password: PASSWORD };
    return codeOf(await ask(server.url, CreateUploadDocument, { input }, headers));
  },
  async "GraphQL uploadFile"(headers) {
    const input = { password: PASSWORD };
    const all = { ...PREFLIGHT, ...headers };
    return codeOf(await postFile(server.url, UploadFileDocument, input, new File(["x"], "x"), all));
  },
};

/** Ways to ask what only administrators may know. */
const ADMIN_DOORS: Record<string, (headers: Headers) => Promise<unknown>> = {
  async "GraphQL uploadSessions"(headers) {
    return codeOf(await ask(server.url, UploadSessionsDocument, {}, headers));
  },
  async "/metrics"(headers) {
    const answer = await fetch(`${server.url}/metrics`, { headers });
    return answer.ok ? null : (await bodyOf(answer))["code"];
  },
};

function codeOf({ errors }: GraphqlAnswer<unknown>): unknown {
  return errors?.[0]?.extensions.code ?? null;
}

/** tus answers in plain text: the sentence of the code. */
function codeOfText(text: string): unknown {
  if (text === "") return null;
  return (
    Object.entries(ANSWERS).find(([, { sentence }]) => text.startsWith(sentence.split(" {")[0] ?? ""))?.[0] ??
    text
  );
}

/** Callers; each gives its headers. */
const CALLERS: Record<string, () => Promise<Headers> | Headers> = {
  nobody: () => ({}),
  "a token without roles": async () => bearer(await provider.token()),
  "an uploader": async () => bearer(await provider.token({ roles: "uploader" })),
  "an administrator": async () => bearer(await provider.token({ roles: ["admin"] })),
  "the static ADMIN_TOKEN": () => bearer(server.adminToken),
  "an expired token": async () => bearer(await provider.token({ roles: "admin", exp: inSeconds(-61) })),
  "a token of another audience": async () => bearer(await provider.token({ roles: "admin", aud: "another" })),
  "something that is no token": () => bearer("wrong"),
};

const U = "UNAUTHENTICATED";
const F = "FORBIDDEN";

describe.each([
  // who                         may upload   may administer
  ["nobody", U, U],
  ["a token without roles", F, F],
  ["an uploader", null, F],
  ["an administrator", null, null],
  ["the static ADMIN_TOKEN", null, null],
  ["an expired token", U, U],
  ["a token of another audience", U, U],
  ["something that is no token", U, U],
])("%s, where UPLOADS=authenticated,", (who, upload, administration) => {
  test.each(Object.entries(DOORS))(`gets ${upload ?? "in"} at %s`, async (_, door) => {
    expect(await door((await CALLERS[who]?.()) ?? {})).toBe(upload);
  });
  test.each(Object.entries(ADMIN_DOORS))(`gets ${administration ?? "an answer"} at %s`, async (_, door) => {
    expect(await door((await CALLERS[who]?.()) ?? {})).toBe(administration);
  });
});

test("a token that is not valid is 401 with a challenge at every door, also where none is needed", async () => {
  const headers = bearer("wrong");
  const answers = await Promise.all([
    retrieveWith(headers),
    postForm(server.url, [file("x"), field("password", PASSWORD)], headers),
    fetch(`${server.url}/graphql?query={__typename}`, { headers: { ...PREFLIGHT, ...headers } }),
    fetch(`${server.url}/metrics`, { headers }),
  ]);
  const reply = await tus("POST", `${server.url}/files`, { "Upload-Length": "1", ...headers });
  expect([...answers.map(({ status }) => status), reply.status]).toEqual([401, 401, 401, 401, 401]);
  const challenges = answers.map(answer => answer.headers.get("WWW-Authenticate"));
  expect([...challenges, reply.headers["www-authenticate"]]).toEqual(Array(5).fill("Bearer"));
});

test("a token that is not valid any more does not end an upload: whoever has its URL needs none", async () => {
  const { location } = await begin(server.url, { "Upload-Length": "2", ...bearer(server.adminToken) });
  const wrong = bearer("wrong");
  expect((await tus("PATCH", location, { "Upload-Offset": "0", ...BODY, ...wrong }, "x")).status).toBe(204);
  expect((await tus("HEAD", location, wrong)).headers["upload-offset"]).toBe("1");
  expect((await tus("DELETE", location, wrong)).status).toBe(204);
});

test("what needs no token needs none where UPLOADS=authenticated: retrieving, downloading, going on with an upload", async () => {
  const headers = bearer(server.adminToken);
  const answer = await postForm(server.url, [file("content"), field("password", PASSWORD)], headers);
  const hash = String((await bodyOf(answer))["hash"]);
  const link = String((await bodyOf(await retrieve(server.url, hash)))["download_link"]);
  expect(await (await fetch(link)).text()).toBe("content");
  const { location } = await begin(server.url, { "Upload-Length": "1", ...headers });
  expect((await tus("PATCH", location, { "Upload-Offset": "0", ...BODY }, "x")).status).toBe(204);
});

describe("while the identity provider is away", () => {
  let away: IdentityProvider;
  let own: TestServer;
  beforeAll(async () => {
    away = await IdentityProvider.start();
    own = await startServer(away.env);
    await away.stop();
  });
  afterAll(() => own.stop());

  test("a token is 503 at every door, never anonymous", async () => {
    const headers = bearer(await provider.token({ roles: "admin" }));
    const answer = await postForm(own.url, [file("x"), field("password", PASSWORD)], headers);
    expect(answer.status).toBe(503);
    expect(answer.headers.get("Retry-After")).toBe("10");
    expect((await bodyOf(answer))["code"]).toBe("IDENTITY_UNAVAILABLE");
    const asked = await post(own.url, { query: "{ __typename }" }, headers);
    expect(asked).toMatchObject({ status: 503, errors: [{ extensions: { code: "IDENTITY_UNAVAILABLE" } }] });
    const { reply } = await begin(own.url, { "Upload-Length": "1", ...headers });
    expect({ status: reply.status, code: codeOfText(reply.text) }).toEqual({
      status: 503,
      code: "IDENTITY_UNAVAILABLE",
    });
  });

  test("the static ADMIN_TOKEN goes on working, and so does whoever needs no token", async () => {
    expect((await fetch(`${own.url}/metrics`, { headers: bearer(own.adminToken) })).status).toBe(200);
    expect((await retrieve(own.url, await store(own.url, "x"))).status).toBe(200);
  });
});

test("no part of a token is logged", async () => {
  const lines: string[] = [];
  const logTo = { write: (line: string) => void lines.push(line) };
  await using own = await startServer({ ...provider.env, LOG_LEVEL: "debug" }, { logTo });
  const token = await provider.token({ roles: "admin", sub: "canary-of-the-subject" });
  const bad = await provider.token({ exp: inSeconds(-100), sub: "canary-of-the-subject" });
  await fetch(`${own.url}/metrics`, { headers: bearer(token) });
  await post(own.url, { query: "{ __typename }" }, bearer(bad));
  await begin(own.url, { "Upload-Length": "1", ...bearer(bad) });
  const log = lines.join("");
  expect(log).toContain("/graphql");
  for (const secret of [token, bad].flatMap(text => text.split("."))) expect(log).not.toContain(secret);
  expect(log).not.toContain("canary-of-the-subject");
});

function retrieveWith(headers: Headers): Promise<Response> {
  return fetch(`${server.url}/api/retrieve/${"0".repeat(64)}`, { headers });
}
