import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { FlakyProxy, STEADY, seeded } from "../support/flaky-proxy.js";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import { begin, download, head, patch } from "./client.js";

const LENGTH = 50 * 1024 * 1024;
const CUTS = 200;
const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const CHUNK_BYTES = 256 * 1024;
/** Of what is left, as much as is sent at once: no cut comes later. */
const SENT_BYTES = 1024 * 1024;
/** Of what had reached the server's machine, half of the connections that end cost no more than what Node had not handed on. */
const BUFFERED_AT_MOST_BYTES = 192 * 1024;
/** And at most one batch of commits (8 chunks), with what the server has not read of a connection that is reset. */
const LOST_AT_MOST_BYTES = 8 * CHUNK_BYTES;

let at: Installation;
let server: ServerProcess;
beforeAll(async () => {
  at = await Installation.make();
  server = await at.start();
}, 180_000);
afterAll(() => at.remove());

/** The offset once the server has noticed the cut and kept what it had. */
async function settledOffset(path: string): Promise<{ offset: number; hash: string | null }> {
  for (let before = -1; ; ) {
    const now = await head(server.url, path);
    if (now.offset === before || now.hash !== null) return now;
    before = now.offset;
    await sleep(60);
  }
}

function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

test(`50 MB through ${CUTS} random cuts come back byte-equal, and each cut costs next to nothing (seed ${SEED})`, async () => {
  const random = seeded(SEED);
  let cutBy: "reset" | "end" = "end";
  const proxy = await FlakyProxy.open(server.url, () => {
    if (proxy.cuts >= CUTS) return STEADY;
    const cutAfterBytes = 1 + Math.floor((random() * 1.6 * LENGTH) / CUTS); // so that bytes are left for the last of them
    cutBy = random() < 0.5 ? "reset" : "end";
    return { ...STEADY, cutAfterBytes, cutBy };
  });
  const plain = bytesOf(LENGTH, SEED);
  const path = await begin(server.url, LENGTH, CHUNK_BYTES);
  const lostBytes = { reset: [] as number[], end: [] as number[] };
  for (let state = await head(server.url, path); state.hash === null; ) {
    const passedBefore = proxy.passedBytes;
    const sent = plain.subarray(state.offset, state.offset + SENT_BYTES);
    await patch(proxy.url, path, state.offset, sent).catch(() => null);
    const reached = proxy.passedBytes - passedBefore;
    const now = await settledOffset(path);
    expect(now.offset).toBeGreaterThanOrEqual(state.offset);
    if (now.hash === null) lostBytes[cutBy].push(state.offset + reached - now.offset);
    state = now;
  }
  expect(proxy.cuts).toBe(CUTS);
  await proxy.close();
  const { hash } = await head(server.url, path);
  expect(Buffer.compare(await download(server.url, hash ?? ""), plain)).toBe(0);
  expect(medianOf(lostBytes.end)).toBeLessThan(BUFFERED_AT_MOST_BYTES);
  expect(Math.max(...lostBytes.end, ...lostBytes.reset)).toBeLessThan(LOST_AT_MOST_BYTES);
}, 600_000);
