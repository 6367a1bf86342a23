import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { randomBytes } from "node:crypto";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { VerifyFileDocument } from "../../generated/graphql.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { field, store } from "../client.js";
import { ask } from "./client.js";

let server: TestServer;
let hash: string;
beforeAll(async () => {
  server = await startServer();
  hash = await store(server.url, randomBytes(9000), field("chunk_size", "1024"));
});
afterAll(() => server.stop());

const verify = (of: string, token = server.adminToken) =>
  ask(server.url, VerifyFileDocument, { input: { hash: of } }, { Authorization: `Bearer ${token}` });

/** All objects of one bucket. */
async function objectsOf(bucket: number): Promise<string[]> {
  const entries = await readdir(join(server.dataDir, "buckets", String(bucket)), {
    recursive: true,
    withFileTypes: true,
  });
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
}

describe("verifyFile", () => {
  test("reads every chunk of a file that is whole, and finds nothing", async () => {
    const { data } = await verify(hash);
    expect(data?.verifyFile).toEqual({
      file: { hash, status: "AVAILABLE" },
      checkedChunks: 10 + 6, // 4+2: ten chunks are three stripes
      badChunks: 0,
      repairedChunks: 0,
      userErrors: [],
    });
  });

  test("rebuilds what two buckets have lost and spoilt, and then finds nothing", async () => {
    for (const path of await objectsOf(2)) await rm(path);
    for (const path of await objectsOf(5)) await writeFile(path, "spoilt");
    const { data } = await verify(hash);
    const bad = data?.verifyFile.badChunks ?? 0;
    expect(bad).toBeGreaterThan(0);
    expect(data?.verifyFile).toMatchObject({ file: { status: "AVAILABLE" }, repairedChunks: bad });
    expect((await verify(hash)).data?.verifyFile).toMatchObject({ checkedChunks: 16, badChunks: 0 });
  });

  test.each([["a file that never was", "ab".repeat(32), "NOT_FOUND"]])(
    "says of %s what is wrong",
    async (_, of, code) => {
      const { data } = await verify(of);
      expect(data?.verifyFile).toMatchObject({ file: null, checkedChunks: 0, userErrors: [{ code }] });
    },
  );

  test("is for administrators", async () => {
    const { errors } = await ask(server.url, VerifyFileDocument, { input: { hash } });
    expect(errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });
});
