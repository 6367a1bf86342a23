/** Who writes when two want to: no lock of a dead connection, no byte of two writers mixed. */
import type { ClientRequest } from "node:http";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { until } from "../../support/until.js";
import { bytesOf } from "../../support/vault.js";
import { base64, begin, BODY, head, patch, PASSWORD, retrieve, sql, TUS } from "./client.js";

const LENGTH = 20_000;
const CHUNK = { "Upload-Length": String(LENGTH), "Upload-Metadata": `chunk_size ${base64("1024")}` };

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

/** A PATCH that has sent `body` and then neither sends nor ends; resolves with its status, or null when it is cut. */
function stalledPatch(
  location: string,
  offset: number,
  body: Uint8Array,
  length = LENGTH - offset,
): { req: ClientRequest; status: Promise<number | null> } {
  const headers = {
    ...TUS,
    ...BODY,
    "Upload-Offset": String(offset),
    "Content-Length": String(length),
  };
  const req = request(location, { method: "PATCH", headers, agent: false });
  const status = new Promise<number | null>(resolve => {
    req.on("response", res => {
      res.resume();
      resolve(res.statusCode ?? 0);
    });
    req.on("error", () => resolve(null));
  });
  req.write(body);
  return { req, status };
}

async function offsetOf(location: string): Promise<number> {
  return Number((await head(location)).headers["upload-offset"]);
}

describe("a stalled PATCH", () => {
  test.each(["the same replica", "another"])(
    "locks nobody out of %s: another goes on from HEAD while it hangs, and what it sends later is never seen",
    async where => {
      const replica =
        where === "another"
          ? await startServer({ DATABASE_URL: server.databaseUrl, DATA_DIR: server.dataDir })
          : null;
      const [first, second] = [bytesOf(LENGTH, 1), bytesOf(LENGTH, 2)];
      const { location } = await begin(server.url, CHUNK);
      const there = `${(replica ?? server).url}${new URL(location).pathname}`;
      const stalled = stalledPatch(location, 0, first.subarray(0, 8000));
      const offset = 8 * 992; // whole chunks: the others have been sent, and come again in another version
      await until(async () => (await offsetOf(there)) === offset);
      const reply = await patch(there, offset, second.subarray(offset));
      expect(reply.status).toBe(204);
      stalled.req.end(first.subarray(8000));
      expect(await stalled.status).toBe(409);
      await replica?.stop();
      const expected = Buffer.concat([first.subarray(0, offset), second.subarray(offset)]);
      expect(Buffer.compare(await retrieve(server.url, reply.headers["file-hash"]), expected)).toBe(0);
    },
  );

  test("The Server SHOULD always attempt to store as much of the received data as possible: one that is cut keeps what it had sent, to the byte", async () => {
    const plain = bytesOf(LENGTH, 3);
    const { location } = await begin(server.url, CHUNK);
    const stalled = stalledPatch(location, 0, plain.subarray(0, 7777));
    await until(async () => (await offsetOf(location)) > 0); // so it has been read
    stalled.req.destroy();
    const offset = 7777;
    await until(async () => (await offsetOf(location)) === offset);
    const reply = await patch(location, offset, plain.subarray(offset));
    expect(Buffer.compare(await retrieve(server.url, reply.headers["file-hash"]), plain)).toBe(0);
  });
});

test.each([
  ["in the middle of a request", LENGTH],
  ["with a request that has come whole, and is not answered yet", 0],
])("a client that leaves %s, and comes back at once, is told of all that it had sent", async (_, more) => {
  for (let sent = 500; sent < LENGTH; sent += 1000) {
    const { location } = await begin(server.url, CHUNK);
    const cut = stalledPatch(location, 0, bytesOf(sent, 7), more === 0 ? sent : LENGTH);
    await until(async () => {
      const [newest] = await sql(
        server.databaseUrl,
        "select lease from uploads order by created_at desc limit 1",
      );
      return Number(newest?.["lease"]) > 0;
    });
    cut.req.destroy();
    const offset = await offsetOf(location);
    expect(offset).toBe(sent);
    expect((await patch(location, offset, "")).status).toBe(204);
  }
});

test("a client that sends other bytes after a cut gets exactly the last version", async () => {
  const [old, now] = [bytesOf(LENGTH, 4), bytesOf(LENGTH, 5)];
  const { location } = await begin(server.url, CHUNK);
  const stalled = stalledPatch(location, 0, old.subarray(0, 1500));
  const kept = 1024 - 32; // the server has 508 bytes more, and has not heard yet of the cut
  await until(async () => (await offsetOf(location)) === kept);
  const more = await patch(location, kept, now.subarray(kept, 3000));
  expect(more.status).toBe(204);
  stalled.req.destroy();
  await sleep(300); // what was left of the old version is not kept now
  expect(await offsetOf(location)).toBe(3000);
  const reply = await patch(location, 3000, now.subarray(3000));
  const expected = Buffer.concat([old.subarray(0, kept), now.subarray(kept)]);
  expect(Buffer.compare(await retrieve(server.url, reply.headers["file-hash"]), expected)).toBe(0);
});

test("an upload goes on from HEAD on another server", async () => {
  const plain = bytesOf(LENGTH, 6);
  const { location } = await begin(server.url, CHUNK);
  await patch(location, 0, plain.subarray(0, 5000));
  const again = await startServer({ DATABASE_URL: server.databaseUrl, DATA_DIR: server.dataDir });
  const there = `${again.url}${new URL(location).pathname}`;
  expect((await head(there)).headers["upload-offset"]).toBe("5000");
  const reply = await patch(there, 5000, plain.subarray(5000));
  expect(Buffer.compare(await retrieve(server.url, reply.headers["file-hash"]), plain)).toBe(0);
  await again.stop();
});

test("names, passwords and tokens of uploads are nowhere in the database", async () => {
  const metadata = `filename ${base64("canary-name.txt")},note ${base64("canary-note")}`;
  const { location } = await begin(server.url, { "Upload-Length": "5", "Upload-Metadata": metadata });
  await patch(location, 0, "cana");
  const rows: string[] = [];
  for (const table of ["uploads", "grants", "pending_objects", "attempts"]) {
    const found = await sql(server.databaseUrl, `select * from ${table}`);
    rows.push(
      ...found.map(row =>
        Object.values(row)
          .map(v => (Buffer.isBuffer(v) ? v.toString("latin1") : String(v)))
          .join(" "),
      ),
    );
  }
  const everything = rows.join("\n");
  const token = location.slice(location.lastIndexOf("/") + 1);
  for (const secret of ["canary", base64("canary-name.txt"), PASSWORD, token])
    expect(everything).not.toContain(secret);
});
