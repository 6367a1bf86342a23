/** What a stranger may make others do and learn from us through GraphQL (threats T9, T10, T11). */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { UploadFileDocument } from "../../generated/graphql.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { PASSWORD } from "../client.js";
import { post, postFile } from "./client.js";

const HASH = "0".repeat(64);

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

describe("what a page of another origin can send by itself", () => {
  test("a form with a file, without the header that makes it ask first, is refused", async () => {
    const file = new File(["x"], "x");
    const answer = await postFile(server.url, UploadFileDocument, { password: PASSWORD }, file, {});
    expect(answer.status).toBe(400);
    expect(answer.errors?.[0]?.message).toMatch(/CSRF/);
  });

  test("a mutation by GET is refused", async () => {
    const query = encodeURIComponent(`mutation { deleteFile(input: { hash: "${HASH}" }) { deletedHash } }`);
    const headers = { "Apollo-Require-Preflight": "1" };
    expect((await fetch(`${server.url}/graphql?query=${query}`, { headers })).status).toBe(405);
    expect((await fetch(`${server.url}/graphql?query=${query}`)).status).toBe(400);
  });

  test("there is no page to land on", async () => {
    const answer = await fetch(`${server.url}/graphql`, { headers: { Accept: "text/html" } });
    expect(answer.status).toBe(400);
    expect(await answer.text()).not.toContain("<html");
  });
});

describe("mistakes", () => {
  test("are 200 to a client that asked for application/json, and 400 to one that knows the new type", async () => {
    expect((await post(server.url, { query: "{" }, { Accept: "application/json" })).status).toBe(200);
    expect(
      (await post(server.url, { query: "{" }, { Accept: "application/graphql-response+json" })).status,
    ).toBe(400);
  });

  test("in variables are told without the variables", async () => {
    const query = "mutation ($input: UnlockFileInput!) { unlockFile(input: $input) { userErrors { code } } }";
    const { errors } = await post(server.url, {
      query,
      variables: { input: { password: "canary", extra: 1 } },
    });
    expect(errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
    expect(JSON.stringify(errors)).not.toContain("canary");
  });

  test("with a bad token or a body that is no JSON come in GraphQL's form, with the request's id", async () => {
    const unknown = await post(server.url, { query: "{ __typename }" }, { Authorization: "Bearer wrong" });
    expect(unknown).toMatchObject({ status: 401, errors: [{ extensions: { code: "UNAUTHENTICATED" } }] });
    const headers = { "Content-Type": "application/json", "X-Request-Id": "id-1" };
    const answer = await fetch(`${server.url}/graphql`, { method: "POST", headers, body: "{canary" });
    expect(answer.status).toBe(400);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({
      errors: [{ extensions: { code: "BAD_USER_INPUT", requestId: "id-1" } }],
    });
    expect(text).not.toContain("canary");
  });
});
