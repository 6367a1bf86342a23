import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { randomBytes } from "node:crypto";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { BucketState } from "../../generated/graphql.js";
import { BucketsDocument, UpdateBucketDocument } from "../../generated/graphql.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { field, store } from "../client.js";
import { ask } from "./client.js";

let server: TestServer;
let admin: Record<string, string>;
beforeAll(async () => {
  server = await startServer();
  admin = { Authorization: `Bearer ${server.adminToken}` };
});
afterAll(() => server.stop());

const buckets = async () => (await ask(server.url, BucketsDocument, {}, admin)).data?.buckets ?? [];

const update = (input: { id: string; state?: BucketState; weight?: number }) =>
  ask(server.url, UpdateBucketDocument, { input }, admin);

async function idOf(index: number): Promise<string> {
  const id = (await buckets())[index]?.id;
  if (id === undefined) throw new Error(`no bucket ${index}`);
  return id;
}

describe("an administrator", () => {
  test("sees how much lies in each bucket, to the byte", async () => {
    await store(server.url, randomBytes(40 * (1024 - 32)), field("chunk_size", "1024"));
    const all = await buckets();
    expect(all).toHaveLength(6);
    for (const { chunkCount, usedSize } of all) expect(usedSize).toBe(1024 * chunkCount);
    expect(all.reduce((sum, { chunkCount }) => sum + chunkCount, 0)).toBe(40 + 20); // two of parity for every four
  });

  test("changes state and weight, one or both, and reads them back", async () => {
    const id = await idOf(0);
    const changed = (await update({ id, state: "READ_ONLY", weight: 3 })).data?.updateBucket;
    expect(changed).toMatchObject({ bucket: { id, state: "READ_ONLY", weight: 3 }, userErrors: [] });
    await update({ id, weight: 5 });
    expect((await buckets())[0]).toMatchObject({ state: "READ_ONLY", weight: 5 });
    await update({ id, state: "ACTIVE" });
    expect((await buckets())[0]).toMatchObject({ state: "ACTIVE", weight: 5 });
  });

  test.each([
    // the mistake                                code             field
    ["a bucket in use disabled", { state: "DISABLED" }, "BUCKET_IN_USE", ["input", "state"]],
    ["an id of nothing", { id: "QnVja2V0Ojk5" }, "NOT_FOUND", ["input", "id"]],
    ["an id of another kind", { id: "RmlsZTox" }, "NOT_FOUND", ["input", "id"]],
  ] as const)("is told of %s as data", async (_, change, code, field) => {
    const { data } = await update({ id: await idOf(1), ...change });
    expect(data?.updateBucket).toMatchObject({ bucket: null, userErrors: [{ code, field }] });
    expect((await buckets())[1]).toMatchObject({ state: "ACTIVE", weight: 1 });
  });

  test("is refused a weight out of bounds", async () => {
    const { errors } = await update({ id: await idOf(1), weight: -1 });
    expect(errors?.[0]).toMatchObject({
      message: "The request could not be understood. A weight is a whole number from 0 to 10000.",
      extensions: { code: "BAD_USER_INPUT" },
    });
  });
});

test("nobody else changes or sees a bucket", async () => {
  const input = { id: await idOf(0), state: "DRAINING" as const };
  for (const { errors } of [
    await ask(server.url, UpdateBucketDocument, { input }),
    await ask(server.url, BucketsDocument, {}),
  ]) {
    expect(errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
  }
  expect((await buckets())[0]?.state).toBe("ACTIVE");
});

describe("the health of a bucket", () => {
  test("comes of what really happened to it, and tells no path", async () => {
    const [first] = await buckets();
    expect(first?.health).toMatchObject({ reachable: true, errorRate: 0, lastError: null });
    expect(Math.abs(Date.parse(first?.health.checkedAt ?? "") - Date.now())).toBeLessThan(60_000);
    expect(first?.health.latencyMsP95).toBeGreaterThanOrEqual(first?.health.latencyMsP50 ?? Infinity);
    expect(first?.capacity).toBeGreaterThan(0);

    const folder = join(server.dataDir, "buckets", "1");
    await rename(folder, `${folder}-away`);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200); // five buckets are enough for a stripe
    const health = (await buckets())[0]?.health;
    expect(health).toMatchObject({ reachable: false, lastError: "get: unavailable" });
    expect(health?.errorRate).toBeGreaterThan(0);
    expect(JSON.stringify(health)).not.toContain("/");

    await rename(`${folder}-away`, folder);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    expect((await buckets())[0]?.health).toMatchObject({ reachable: true, lastError: "get: unavailable" });
  });
});
