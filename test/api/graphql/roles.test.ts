/**
 * Who may see and do what: every field of a file and of a link, every query and every mutation, for who knows the hash alone,
 * for who knows the password (or the token) too, and for an administrator, who knows neither. Asked over HTTP. A field
 * that the schema has and this table has not fails the first test: add its row.
 */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import type { GraphQLSchema } from "graphql";
import { assertObjectType, buildSchema, getNamedType, isLeafType } from "graphql";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { PASSWORD, field, store } from "../client.js";
import type { GraphqlAnswer } from "./client.js";
import { post } from "./client.js";

const SEEN = "seen";
const NULL = "null"; // of a field: the query goes on
const DONE = "done";
const NOBODY = "UNAUTHENTICATED";
const WRONG = "WRONG_PASSWORD";

type Row = readonly [name: string, anonymous: string, holder: string, admin: string];

const FILE: readonly Row[] = [
  // field               anonymous  holder  admin
  ["id", SEEN, SEEN, SEEN],
  ["hash", SEEN, SEEN, SEEN],
  ["status", SEEN, SEEN, SEEN],
  ["size", SEEN, SEEN, SEEN],
  ["createdAt", SEEN, SEEN, SEEN],
  ["expiresAt", SEEN, SEEN, SEEN],
  ["remainingDownloads", SEEN, SEEN, SEEN],
  ["name", NULL, SEEN, NULL],
  ["mediaType", NULL, SEEN, NULL],
  ["sha256", NULL, SEEN, NULL],
  ["chunkSize", NULL, NULL, SEEN],
  ["parity", NULL, NULL, SEEN],
  ["chunkCount", NULL, NULL, SEEN],
  ["chunks", NULL, NULL, SEEN],
  ["placement", NULL, NULL, SEEN],
  ["downloadCount", NULL, NULL, SEEN],
  ["downloadLinks", NULL, NULL, SEEN],
  ["auditEvents", NULL, NULL, SEEN],
];

/** Nobody comes by a link but who made it with the password, and administrators by `File.downloadLinks`. */
const LINK: readonly Row[] = [
  ["id", NULL, SEEN, SEEN],
  ["createdAt", NULL, SEEN, SEEN],
  ["expiresAt", NULL, SEEN, SEEN],
  ["maxDownloads", NULL, SEEN, SEEN],
  ["downloadCount", NULL, SEEN, SEEN],
  ["revokedAt", NULL, SEEN, SEEN],
];

const QUERIES: readonly Row[] = [
  ["serverInfo", SEEN, SEEN, SEEN],
  ["file", SEEN, SEEN, SEEN],
  ["uploadSession", NULL, SEEN, NULL],
  ["node", NOBODY, NOBODY, SEEN],
  ["files", NOBODY, NOBODY, SEEN],
  ["uploadSessions", NOBODY, NOBODY, SEEN],
  ["buckets", NOBODY, NOBODY, SEEN],
  ["storageStats", NOBODY, NOBODY, SEEN],
  ["auditEvents", NOBODY, NOBODY, SEEN],
];

/** A second word is an input that only some may give. */
const MUTATIONS: readonly Row[] = [
  ["createUpload", DONE, DONE, DONE],
  ["uploadFile", DONE, DONE, DONE],
  ["abandonUpload", "NOT_FOUND", DONE, "NOT_FOUND"],
  ["unlockFile", WRONG, DONE, WRONG],
  ["createDownloadLink", WRONG, DONE, WRONG],
  ["changeFilePassword", WRONG, DONE, WRONG],
  ["revokeDownloadLink", "MISSING_PASSWORD", DONE, DONE],
  ["updateFile", "MISSING_PASSWORD", DONE, DONE],
  ["updateFile retainUntil", "FORBIDDEN", "FORBIDDEN", DONE],
  ["deleteFile", "MISSING_PASSWORD", DONE, DONE],
  ["updateBucket", NOBODY, NOBODY, DONE],
  ["verifyFile", NOBODY, NOBODY, DONE],
];

type Who = "anonymous" | "holder" | "admin";
const EVERYONE = ["anonymous", "holder", "admin"] as const;
const cells = (rows: readonly Row[]) =>
  rows.flatMap(([name, ...cells]) => EVERYONE.map((who, i) => [name, who, cells[i] ?? ""] as const));

const schema: GraphQLSchema = buildSchema(readFileSync("schema/schema.graphql", "utf8"));
const fieldsOf = (type: string) => assertObjectType(schema.getType(type)).getFields();

test.each([
  ["File", FILE],
  ["DownloadLink", LINK],
  ["Query", QUERIES],
  ["Mutation", MUTATIONS],
])("the table has a row for every field of %s, and no other", (type, rows) => {
  const named = new Set(rows.map(([name]) => name.split(" ")[0]));
  expect([...named].sort()).toEqual(Object.keys(fieldsOf(type)).sort());
});

let server: TestServer;
let hash: string;
beforeAll(async () => {
  server = await startServer();
  hash = await newFile();
});
afterAll(() => server.stop());

/** One in which no field is null but for who may not see it. */
function newFile(): Promise<string> {
  return store(server.url, "x", field("max_downloads", "9"), field("expires_in", "3600"));
}

interface Answer {
  readonly [name: string]: unknown;
}

function ask(who: Who, query: string, variables: object = {}): Promise<GraphqlAnswer<Answer>> {
  const headers = who === "admin" ? { Authorization: `Bearer ${server.adminToken}` } : {};
  return post<Answer>(server.url, { query, variables }, headers);
}

/** `name`, or `name { … }` where it is no leaf. */
function selection(type: string, name: string, args = ""): string {
  const known = fieldsOf(type)[name];
  if (!known) throw new Error(`${type} has no field ${name}`);
  return isLeafType(getNamedType(known.type)) ? `${name}${args}` : `${name}${args} { __typename }`;
}

/** What became of a field: the code of the error, or whether it holds anything. */
function outcome({ data, errors }: GraphqlAnswer<Answer>, pick: (data: Answer) => unknown): string {
  const code = errors?.[0]?.extensions.code;
  if (code !== undefined) return code;
  return data && pick(data) != null ? SEEN : NULL;
}

const at = (value: unknown, ...path: readonly (string | number)[]) =>
  path.reduce((inner, key) => (inner as Record<string, unknown> | null | undefined)?.[key], value);

describe("a field of File", () => {
  test.each(cells(FILE))("%s is, for the %s, %s", async (name, who, expected) => {
    const fields = selection("File", name);
    const answer =
      who === "holder"
        ? await ask(
            who,
            `mutation ($input: UnlockFileInput!) { unlockFile(input: $input) { file { ${fields} } } }`,
            { input: { hash, password: PASSWORD } },
          )
        : await ask(who, `query ($hash: Sha256!) { file(hash: $hash) { ${fields} } }`, { hash });
    const path = who === "holder" ? ["unlockFile", "file", name] : ["file", name];
    expect(outcome(answer, data => at(data, ...path))).toBe(expected);
  });
});

describe("a field of DownloadLink", () => {
  test.each(cells(LINK))("%s is, for the %s, %s", async (name, who, expected) => {
    const own = await newFile();
    const { id } = await newLink(own);
    const fields = selection("DownloadLink", name);
    const input = { id, password: PASSWORD };
    const revoke = `mutation ($input: RevokeDownloadLinkInput!) { revokeDownloadLink(input: $input) { link { ${fields} } } }`;
    const byHolder = await ask("holder", revoke, { input }); // so that it has a time at which it was revoked
    const list = `query ($hash: Sha256!) { file(hash: $hash) { downloadLinks { nodes { ${fields} } } } }`;
    const answer = who === "holder" ? byHolder : await ask(who, list, { hash: own });
    const path =
      who === "holder" ? ["revokeDownloadLink", "link", name] : ["file", "downloadLinks", "nodes", 0, name];
    expect(outcome(answer, data => at(data, ...path))).toBe(expected);
  });
});

describe("a query", () => {
  test.each(cells(QUERIES))("%s is, for the %s, %s", async (name, who, expected) => {
    const token = who === "holder" ? await newUpload() : "A".repeat(43);
    const args: Record<string, string> = {
      file: `(hash: "${hash}")`,
      uploadSession: `(token: "${token}")`,
      node: `(id: "${Buffer.from(`File:${hash}`).toString("base64url")}")`,
    };
    const answer = await ask(who, `{ ${selection("Query", name, args[name])} }`);
    expect(outcome(answer, data => data[name])).toBe(expected);
  });
});

describe("a mutation", () => {
  test.each(cells(MUTATIONS))("%s is, for the %s, %s", async (row, who, expected) => {
    const [name = "", input] = row.split(" ");
    expect(await act(name, who, input)).toBe(expected);
  });
});

/** Where the password must be given, all but the holder guess; where it may be left out, they leave it out. */
async function act(name: string, who: Who, only: string | undefined): Promise<string> {
  if (name === "uploadFile") return uploadFile(who);
  const own = await newFile();
  const isHolder = who === "holder";
  const mayProve = isHolder ? { password: PASSWORD } : {};
  const password = isHolder ? PASSWORD : "not this one";
  const inputs: Record<string, () => object | Promise<object>> = {
    createUpload: () => ({ filename: "a.txt", password: PASSWORD }),
    abandonUpload: async () => ({ token: isHolder ? await newUpload() : "A".repeat(43) }),
    unlockFile: () => ({ hash: own, password }),
    createDownloadLink: () => ({ hash: own, password }),
    changeFilePassword: () => ({ hash: own, currentPassword: password, newPassword: "battery staple" }),
    revokeDownloadLink: async () => ({ id: (await newLink(own)).id, ...mayProve }),
    updateFile: () => ({ hash: own, ...mayProve, ...(only && { [only]: new Date(Date.now() + 60_000) }) }),
    deleteFile: () => ({ hash: own, ...mayProve }),
    verifyFile: () => ({ hash: own }),
    updateBucket: async () => ({
      id: at((await ask("admin", "{ buckets { id } }")).data, "buckets", 0, "id"),
      weight: 1,
    }),
  };
  const make = inputs[name];
  if (!make) throw new Error(`no input for ${name}`);
  return didIt(name, await ask(who, mutation(name), { input: await make() }));
}

function mutation(name: string): string {
  const type = fieldsOf("Mutation")[name]?.args[0]?.type;
  return `mutation ($input: ${type}) { ${name}(input: $input) { userErrors { code } } }`;
}

function didIt(name: string, { data, errors }: GraphqlAnswer<Answer>): string {
  return errors?.[0]?.extensions.code ?? String(at(data, name, "userErrors", 0, "code") ?? DONE);
}

async function uploadFile(who: Who): Promise<string> {
  const form = new FormData();
  const variables = { input: { file: null, password: PASSWORD } };
  form.set("operations", JSON.stringify({ query: mutation("uploadFile"), variables }));
  form.set("map", JSON.stringify({ 0: ["variables.input.file"] }));
  form.set("0", new File(["x"], "a.txt"));
  const headers = {
    "Apollo-Require-Preflight": "1",
    ...(who === "admin" && { Authorization: `Bearer ${server.adminToken}` }),
  };
  const answer = await fetch(`${server.url}/graphql`, { method: "POST", headers, body: form });
  return didIt("uploadFile", (await answer.json()) as GraphqlAnswer<Answer>);
}

async function newLink(of: string): Promise<{ id: string }> {
  const query =
    "mutation ($input: CreateDownloadLinkInput!) { createDownloadLink(input: $input) { link { id } } }";
  const { data } = await ask("holder", query, { input: { hash: of, password: PASSWORD, maxDownloads: 1 } });
  return { id: String(at(data, "createDownloadLink", "link", "id")) };
}

/** The token of an upload under way. */
async function newUpload(): Promise<string> {
  const query = "mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { tusUrl } } }";
  const { data } = await ask("holder", query, { input: { filename: "a", password: PASSWORD } });
  return String(at(data, "createUpload", "upload", "tusUrl"));
}
