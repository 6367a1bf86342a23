/** What one document may cost: refused before anything of it runs, with a code and a sentence (threats T2, T10). */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { getIntrospectionQuery } from "graphql";
import { readFileSync, readdirSync } from "node:fs";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { post } from "./client.js";

const HASH = "0".repeat(64);
/** So that what is wrong with the document is 400, as it is to clients that know the new media type. */
const NEW_TYPE = { Accept: "application/graphql-response+json" };

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const times = (count: number, part: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => part(i)).join(" ");
const aliases = (count: number) => `{ ${times(count, i => `a${i}: file(hash: "${HASH}") { id }`)} }`;
const directives = (count: number) => `{ ${times(count, () => "... @skip(if: false) { __typename }")} }`;
const guesses = (count: number) =>
  `mutation { ${times(count, i => `a${i}: unlockFile(input: { hash: "${HASH}", password: "guess ${i}" }) { userErrors { code } }`)} }`;
/** As many levels as asked for, the field included. */
const deep = (levels: number) =>
  `{ ${times(levels - 1, () => "... on Query {")} __typename ${times(levels - 1, () => "}")} }`;
const pages = (files: number, chunks: number) =>
  `{ files(first: ${files}) { nodes { hash chunks(first: ${chunks}) { nodes { index digest } } } } }`;
/** Each fragment spreads the next twice: 2^count selections if they were written out. */
const bomb = (count: number) =>
  `{ ...f0 } ${times(count, i => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`)} fragment f${count} on Query { __typename }`;
const circular = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
const circularSchema = `{ __schema { types { ${times(4, () => "fields { type {")} name ${times(4, () => "} }")} } } }`;

const TOO_COMPLEX = "QUERY_TOO_COMPLEX";
const INVALID = "GRAPHQL_VALIDATION_FAILED";

describe("refused:", () => {
  test.each([
    // what, document, code, what its sentence says
    ["6 aliases", aliases(6), TOO_COMPLEX, /at most 5 aliases/],
    ["30 aliases of a mutation that tries passwords", guesses(30), TOO_COMPLEX, /at most 5 aliases/],
    ["100 of them", guesses(100), TOO_COMPLEX, /at most 1000 tokens/],
    ["9 levels", deep(9), TOO_COMPLEX, /at most 8 levels/],
    ["500 levels", deep(500), TOO_COMPLEX, /at most 1000 tokens/],
    ["a page of pages, both long", pages(100, 100), TOO_COMPLEX, /shorter pages/],
    ["11 directives", directives(11), TOO_COMPLEX, /at most 10 directives/],
    ["1000 fields", `{ ${times(1000, () => "__typename")} }`, TOO_COMPLEX, /at most 1000 tokens/],
    [
      "one field 900 times",
      `{ ${times(900, () => "__typename")} }`,
      TOO_COMPLEX,
      /the same fields too often/,
    ],
    ["fragments that double thirty times", bomb(30), TOO_COMPLEX, /too complex/],
    ["fragments in a circle", circular, INVALID, /itself/],
    ["the schema read in circles", circularSchema, INVALID, /introspection depth/],
    ["an unknown field", "{ secrets }", INVALID, /secrets/],
    ["a syntax error", "{", "GRAPHQL_PARSE_FAILED", /Syntax Error/],
  ])("%s", async (_, query, code, sentence) => {
    const { status, data, errors } = await post(server.url, { query }, NEW_TYPE);
    expect(status).toBe(400);
    expect(data ?? null).toBeNull();
    expect(errors?.[0]?.extensions.code).toBe(code);
    expect(errors?.[0]?.message).toMatch(sentence);
    expect(JSON.stringify(errors)).not.toMatch(/stack|node_modules/);
  });

  test("20,000 fields, as a body that is too long", async () => {
    const { status, errors } = await post(server.url, { query: `{ ${times(20_000, () => "__typename")} }` });
    expect({ status, code: errors?.[0]?.extensions.code }).toEqual({ status: 400, code: "BAD_USER_INPUT" });
    expect(errors?.[0]?.message).toContain("too long");
  });

  test("a batch, as JSON and as a form", async () => {
    const batch = Array(10).fill({ query: "{ __typename }" });
    expect((await post(server.url, batch)).status).toBe(400);
    const form = new FormData();
    form.set("operations", JSON.stringify(batch));
    form.set("map", "{}");
    const headers = { "Apollo-Require-Preflight": "1" };
    expect((await fetch(`${server.url}/graphql`, { method: "POST", headers, body: form })).status).toBe(400);
  });

  test("what is too complex is 200 to a client that asked for application/json, as other mistakes are", async () => {
    expect((await post(server.url, { query: aliases(6) }, { Accept: "application/json" })).status).toBe(200);
  });
});

describe("let through:", () => {
  test.each([
    ["5 aliases", aliases(5)],
    ["8 levels", deep(8)],
    ["10 directives", directives(10)],
    ["a document of nearly 1000 tokens", times(198, i => `query q${i} { __typename }`)],
    ["all that a client asks to know the schema", getIntrospectionQuery()],
  ])("%s", async (_, query) => {
    const operationName = /^query (\w+)/.exec(query)?.[1];
    const { status, errors } = await post(server.url, { query, operationName }, NEW_TYPE);
    expect({ status, errors }).toEqual({ status: 200, errors: undefined });
  });

  const operations = new URL("../../../schema/operations/", import.meta.url);
  const documents = readdirSync(operations).map(name => readFileSync(new URL(name, operations), "utf8"));
  const fragments = documents.flatMap(text => text.match(/^fragment [\s\S]+?^}/gm) ?? []);
  const named = documents.flatMap(text => text.match(/^(?:query|mutation) [\s\S]+?^}/gm) ?? []);

  test.each(named.map(text => [/\w+ (\w+)/.exec(text)?.[1], text]))(
    "our own operation %s",
    async (_, text = "") => {
      const { errors } = await post(server.url, { query: withFragments(text, fragments) });
      expect(errors?.map(({ extensions }) => extensions.code) ?? []).not.toContain(TOO_COMPLEX);
      expect(errors?.map(({ extensions }) => extensions.code) ?? []).not.toContain(INVALID);
    },
  );
});

/** The operation with the fragments that it spreads, directly or not. */
function withFragments(operation: string, fragments: readonly string[]): string {
  const used = fragments.filter(text => operation.includes(`...${/^fragment (\w+)/.exec(text)?.[1]}\n`));
  const missing = used.filter(text => !operation.includes(text));
  return missing.length === 0 ? operation : withFragments([operation, ...missing].join("\n"), fragments);
}

describe("what GraphQL tells of itself", () => {
  test("is its schema, because the interface is public", async () => {
    const query = '{ __schema { queryType { name } } __type(name: "File") { name } }';
    expect((await post(server.url, { query })).data).toMatchObject({ __type: { name: "File" } });
    expect((await post(server.url, { query: "{ serverInf { version } }" })).errors?.[0]?.message).toContain(
      "Did you mean",
    );
  });

  test.each([["{ __schema { queryType { name } } }"], ['{ __type(name: "File") { name } }']])(
    "is nothing of its schema where GRAPHQL_INTROSPECTION=off: %s",
    async query => {
      await using own = await startServer({ GRAPHQL_INTROSPECTION: "off" });
      const { status, data, errors } = await post(own.url, { query }, NEW_TYPE);
      expect({ status, data: data ?? null, code: errors?.[0]?.extensions.code }).toEqual({
        status: 400,
        data: null,
        code: INVALID,
      });
    },
  );

  test.each([
    ["a field", "{ serverInf { version } }"],
    ["an argument", '{ file(hsh: "x") { id } }'],
    ["an input's field", 'mutation { unlockFile(input: { hsh: "x" }) { userErrors { code } } }'],
    ["a value", "{ uploadSessions(stage: [FINISHE]) { nodes { id } } }"],
    ["a type", "{ ... on Fil { id } }"],
    ["a directive", "{ __typename @skp(if: true) }"],
  ])("is no hint at what was nearly guessed then: %s", async (_, query) => {
    await using own = await startServer({ GRAPHQL_INTROSPECTION: "off" });
    const { errors } = await post(own.url, { query });
    expect(errors?.length).toBeGreaterThan(0);
    expect(JSON.stringify(errors)).not.toMatch(/did you mean/i);
  });

  test("is no trace of how long what took, however it is asked for", async () => {
    const headers = { "apollo-federation-include-trace": "ftv1", "X-Apollo-Tracing": "1" };
    const answer = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify({ query: "{ __typename }" }),
    });
    expect(await answer.json()).toEqual({ data: { __typename: "Query" } });
  });
});
