/** What a client is told when what is behind the doors is away, full or busy. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { relayTo } from "./relay.js";
import { createDatabase } from "../support/database.js";
import { startServer } from "../support/server.js";
import { PASSWORD, bodyOf, errorOf, field, file, link, postForm, retrieve, store } from "./client.js";

const form = (content: string | Uint8Array) => [file(content), field("password", PASSWORD)];

test("a file that is gone is 410, and says nothing else", async () => {
  await using server = await startServer();
  const hash = await store(server.url, "x", field("max_downloads", "1"));
  const at = await link(server.url, hash);
  expect(await (await fetch(at)).text()).toBe("x");
  for (let i = 0; i < 50 && (await retrieve(server.url, hash)).status === 200; i++);
  expect(await errorOf(await retrieve(server.url, hash))).toEqual({ status: 410, code: "FILE_GONE" });
});

test("buckets that are away are 503 with a time to come back, and the server is not ready", async () => {
  await using server = await startServer();
  const buckets = join(server.dataDir, "buckets");
  for (const bucket of await readdir(buckets)) {
    await rm(join(buckets, bucket), { recursive: true });
    await writeFile(join(buckets, bucket), "a file where a folder was");
  }
  const answer = await postForm(server.url, form("x"));
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await errorOf(answer)).toEqual({ status: 503, code: "STORAGE_UNAVAILABLE" });
  expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  for (const bucket of await readdir(buckets)) {
    await rm(join(buckets, bucket));
    await mkdir(join(buckets, bucket));
  }
});

test("a database that is away is 503 at every door, and tells nothing of itself", async () => {
  const database = await createDatabase();
  const relay = await relayTo(database.url);
  const server = await startServer({ DATABASE_URL: relay.url });
  try {
    const at = await link(server.url, await store(server.url, "x"));
    relay.cut();
    const unavailable = { status: 503, code: "STORAGE_UNAVAILABLE" };
    for (const answer of [
      await postForm(server.url, form("x")),
      await retrieve(server.url, "0".repeat(64)),
      await fetch(at),
    ]) {
      const body = await bodyOf(answer);
      expect({ status: answer.status, code: body["code"] }).toEqual(unavailable);
      expect(JSON.stringify(body)).not.toMatch(/test_|sql|postgres|select|sock/i);
    }
    const graphql = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ query: `{ file(hash: "${"0".repeat(64)}") { id } }` }),
    });
    expect(await bodyOf(graphql)).toMatchObject({
      errors: [{ extensions: { code: "STORAGE_UNAVAILABLE" } }],
    });
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  } finally {
    await server.stop();
    await database.drop();
  }
});

test("more password checks than may wait are 503 BUSY, the others are answered", async () => {
  await using server = await startServer({
    ARGON2_CONCURRENCY: "1",
    ARGON2_MEMORY_KIB: "32768",
    ARGON2_PASSES: "3",
  });
  const hash = await store(server.url, "x");
  const answers = await Promise.all(Array.from({ length: 120 }, () => retrieve(server.url, hash)));
  const busy = answers.filter(({ status }) => status === 503);
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(50);
  expect(busy.length).toBeGreaterThan(0);
  expect(Number(busy[0]?.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(busy[0] && (await errorOf(busy[0]))).toEqual({ status: 503, code: "BUSY" });
});

describe("a full disk", () => {
  const folder = mkdtempSync(join(tmpdir(), "sv-full-"));
  // Only root may mount; elsewhere this test is skipped, and Jest says so.
  const isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]).status === 0;
  let server: Awaited<ReturnType<typeof startServer>> | undefined;
  beforeAll(async () => {
    if (isMounted) server = await startServer({ BUCKETS: `file://${folder}` });
  });
  afterAll(async () => {
    await server?.stop();
    if (isMounted) spawnSync("umount", ["-l", folder]);
    rmSync(folder, { recursive: true, force: true });
  });

  (isMounted ? test : test.skip)("is 507, and smaller files still fit", async () => {
    const url = server?.url ?? "";
    expect(await errorOf(await postForm(url, form(new Uint8Array(1 << 20))))).toEqual({
      status: 507,
      code: "STORAGE_FULL",
    });
    expect(await store(url, "small")).toMatch(/^[0-9a-f]{64}$/);
  });
});
