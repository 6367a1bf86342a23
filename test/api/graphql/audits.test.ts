/** GraphQL over HTTP (https://graphql.github.io/graphql-over-http), by the audits of graphql-http. */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { AuditResult } from "graphql-http";
import { auditServer } from "graphql-http";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";

let server: TestServer;
let results: AuditResult[];
beforeAll(async () => {
  server = await startServer();
  results = await auditServer({ url: `${server.url}/graphql` });
});
afterAll(() => server.stop());

/** What is not as the specification says, of those audits that stand under `word`. */
function lacking(word: "MUST" | "SHOULD" | "MAY"): { count: number; lacking: string[] } {
  const audits = results.filter(({ name }) => new RegExp(`^${word}\\b`).test(name));
  const failed = audits.filter(({ status }) => status !== "ok");
  return { count: audits.length, lacking: failed.map(({ id }) => id).sort() };
}

test("all 13 things a server MUST do are done", () => {
  expect(lacking("MUST")).toEqual({ count: 13, lacking: [] });
});

test("all 23 things a server SHOULD do are done", () => {
  expect(lacking("SHOULD")).toEqual({ count: 23, lacking: [] });
});

test("of 25 things a server MAY do, three are not: GET without a header that makes a page of another origin ask first", () => {
  // 5A70, D6D5, 6A70: the audits send a bare GET, which CSRF prevention refuses.
  expect(lacking("MAY")).toEqual({ count: 25, lacking: ["5A70", "6A70", "D6D5"] });
  const reasons = results
    .filter(({ status }) => status !== "ok")
    .map(result => "response" in result && result.response.status);
  expect(reasons).toEqual([400, 400, 400]);
});
