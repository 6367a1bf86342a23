/** Slow clients, against limits scaled down a hundred times (T14, T15). */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";
import { until } from "../support/until.js";
import { FORM_TYPE, PASSWORD, countRows, field, file, formBody, rawClient, store } from "./client.js";
import { begin, head as headOf } from "./tus/client.js";

const LIMITS = { idleTimeoutMs: 400, minBytesPerSecond: 1000, rateWindowMs: 800, headersTimeoutMs: 400 };

const logged: string[] = [];
const logTo = { write: (line: string) => void logged.push(line) };

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ LOG_LEVEL: "error" }, { limits: LIMITS, logTo });
});
afterAll(() => server.stop());

const body = formBody([field("password", PASSWORD), file("x".repeat(100_000))]);
const head = (length: number, path = "/api/upload", type = FORM_TYPE) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`;

describe("a client that is too slow", () => {
  test("over its headers is cut off", async () => {
    const client = await rawClient(server.url);
    void client.trickle([..."GET /healthz HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], 50);
    expect(await client.closed(20_000)).toBe(true);
    expect(client.received()).toMatch(/^(HTTP\/1\.1 408 |$)/);
  });

  test.each([
    ["/api/upload", FORM_TYPE],
    ["/graphql", "application/json"],
    [`/api/retrieve/${"0".repeat(64)}`, "application/json"],
  ])("with not one more byte of a body for %s is told so and cut off", async (path, type) => {
    const client = await rawClient(server.url);
    client.socket.write(head(1000, path, type));
    client.socket.write(path === "/api/upload" ? body.subarray(0, 300) : '{"query":');
    expect(await client.answered(20_000)).toMatch(/^HTTP\/1\.1 408 [\s\S]*"SLOW_CLIENT"/);
    expect(await client.closed(20_000)).toBe(true);
  });

  test("with its PATCH is told so, and no fault of ours is logged", async () => {
    const { location } = await begin(server.url, { "Upload-Length": "1000" });
    const client = await rawClient(server.url);
    const { pathname } = new URL(location);
    client.socket.write(
      `PATCH ${pathname} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n` +
        "Content-Type: application/offset+octet-stream\r\nContent-Length: 1000\r\n\r\nsome",
    );
    expect(await client.answered(20_000)).toMatch(/^HTTP\/1\.1 408 /);
    expect(await client.closed(20_000)).toBe(true);
    await sleep(500);
    expect((await headOf(location)).headers["upload-offset"]).toBe("4");
    expect(logged).toEqual([]);
  });

  test("with a byte now and then is cut off all the same", async () => {
    const before = await countRows(server.databaseUrl);
    const client = await rawClient(server.url);
    client.socket.write(head(body.length));
    client.socket.write(body.subarray(0, 300));
    void client.trickle(
      Array.from({ length: 60 }, () => "x"),
      50,
    );
    expect(await client.answered(20_000)).toMatch(/^HTTP\/1\.1 408 /);
    expect(await client.closed(20_000)).toBe(true);
    await sleep(100);
    expect(await countRows(server.databaseUrl)).toEqual(before);
  });

  test("does not keep others waiting", async () => {
    const slow = await Promise.all(Array.from({ length: 200 }, () => rawClient(server.url)));
    for (const client of slow) client.socket.write("POST /api/upload HTTP/1.1\r\nHost: x\r\n");
    expect(await store(server.url, "meanwhile")).toMatch(/^[0-9a-f]{64}$/);
    const closed = await Promise.all(slow.map(client => client.closed(20_000)));
    expect(closed.filter(Boolean)).toHaveLength(200);
  });
});

test("nobody is cut off for the time in which this process itself stood still", async () => {
  const before = await countRows(server.databaseUrl);
  const client = await rawClient(server.url);
  client.socket.write(head(body.length));
  client.socket.write(body.subarray(0, 2500));
  await until(async () => (await countRows(server.databaseUrl)).receiving > before.receiving);
  client.socket.write(body.subarray(2500, 2501));
  await sleep(20);
  await setImmediate(); // after it timers are due before sockets are read
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * LIMITS.idleTimeoutMs);
  client.socket.write(body.subarray(2501));
  expect(await client.answered(20_000)).toMatch(/^HTTP\/1\.1 201 /);
  client.socket.destroy();
});

test("an honest upload may take far longer than any of the limits", async () => {
  const client = await rawClient(server.url);
  client.socket.write(head(body.length));
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += 2500) pieces.push(body.subarray(at, at + 2500));
  await client.trickle(pieces, 75);
  expect(await client.answered(20_000)).toMatch(/^HTTP\/1\.1 201 /);
  client.socket.destroy();
});
