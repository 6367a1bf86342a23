/** A limit is exact: so many downloads, each whole, and then none. Over HTTP, with everyone at once. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { randomBytes } from "node:crypto";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";
import { errorOf, field, link, retrieve, store } from "./client.js";
import type { Replica } from "./graphql/replica.js";
import { openReplica } from "./graphql/replica.js";

const CONTENT = randomBytes(200_000);
const CLIENTS = 20;

let server: TestServer;
let url: string;
let replica: Replica;
beforeAll(async () => {
  server = await startServer();
  url = server.url;
  replica = await openReplica(server);
});
afterAll(async () => {
  await replica.close();
  await server.stop();
});

/** All at once: which were whole, and with which codes the others were refused. */
async function downloads(links: readonly string[], content = CONTENT) {
  const refusals: unknown[] = [];
  let wholeCount = 0;
  await Promise.all(
    links.map(async at => {
      const answer = await fetch(at);
      if (answer.status !== 200) refusals.push((await errorOf(answer)).code);
      else if (content.equals(Buffer.from(await answer.arrayBuffer()))) wholeCount++;
    }),
  );
  return { wholeCount, refusals };
}

/** The file is gone a moment after its last byte was taken. */
async function becomesGone(hash: string): Promise<void> {
  for (let tries = 0; (await retrieve(url, hash)).status !== 410; tries++) expect(tries).toBeLessThan(500);
  await replica.sweep();
  expect(await errorOf(await retrieve(url, hash))).toEqual({ status: 410, code: "FILE_GONE" });
}

describe("of 20 downloads at once", () => {
  test("of a file with 3 left, exactly 3 succeed, each whole, and then the file is gone", async () => {
    const hash = await store(url, CONTENT, field("max_downloads", "3"));
    const links: string[] = [];
    for (let i = 0; i < CLIENTS; i++) links.push(await link(url, hash));
    const { wholeCount, refusals } = await downloads(links);
    expect([wholeCount, refusals.length]).toEqual([3, CLIENTS - 3]);
    // Once the file is shredded its links are not even known any more.
    for (const code of refusals) expect(code).toMatch(/^(FILE_GONE|LINK_EXPIRED|NOT_FOUND)$/);
    await becomesGone(hash);
  });

  test("by a link of 3 uses, exactly 3 succeed, each whole, and the file stays", async () => {
    const hash = await store(url, CONTENT);
    const at = await link(url, hash, { max_uses: "3" });
    const results = await downloads(Array<string>(CLIENTS).fill(at));
    expect(results).toEqual({ wholeCount: 3, refusals: Array(CLIENTS - 3).fill("LINK_EXPIRED") });
    expect((await downloads([await link(url, hash)])).wholeCount).toBe(1);
  });
});

test("a fast last download does not end the file under the slow ones that began before it", async () => {
  // More than sockets hold and more chunk rows than are read at once: the slow ones are far from having read it all.
  const content = randomBytes(16 << 20);
  const hash = await store(url, content, field("max_downloads", "3"), field("chunk_size", "65536"));
  const slow = await Promise.all(
    [await link(url, hash), await link(url, hash)].map(async at => {
      const body = (await fetch(at)).body?.getReader();
      if (!body) throw new Error("a download without a body");
      return { body, received: [(await body.read()).value ?? new Uint8Array()] };
    }),
  );
  expect((await downloads([await link(url, hash)], content)).wholeCount).toBe(1);
  await replica.sweep();
  for (const { body, received } of slow) {
    for (let piece = await body.read(); !piece.done; piece = await body.read()) received.push(piece.value);
    expect(Buffer.concat(received).equals(content)).toBe(true);
  }
  await becomesGone(hash);
});
