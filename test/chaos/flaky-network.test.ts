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
/** A request brings several, on average. */
const CHUNK_BYTES = 64 * 1024;
/** Of what is left, as much as is sent at once: no cut comes later. */
const SENT_BYTES = 1024 * 1024;
/**
 * The head of a request, and no byte of the body, is what most cuts cost. Of the others, what Node had not handed on yet, or
 * the kernel had not read of a connection that is reset at once: the server has never seen that.
 */
const HEAD_BYTES = 1024;

let at: Installation;
let server: ServerProcess;
beforeAll(async () => {
  at = await Installation.make();
  server = await at.start();
}, 180_000);
afterAll(() => at.remove());

/** Enough for a server to read what has reached its machine. */
const LINGER_MS = 100;
/** How long nothing may move until the server is taken to have kept what it will: a busy one is late to notice. */
const PATIENCE_MS = 500;

/** The offset once the server has noticed the cut and kept what it had. Of all that it can have, it need not be waited for. */
async function settledOffset(
  path: string,
  mostBytes: number,
): Promise<{ offset: number; hash: string | null }> {
  let before = -1;
  for (let movedAt = performance.now(); ; ) {
    const now = await head(server.url, path);
    if (now.hash !== null || now.offset > mostBytes - HEAD_BYTES) return now;
    if (now.offset !== before) movedAt = performance.now();
    else if (performance.now() - movedAt > PATIENCE_MS) return now;
    before = now.offset;
    await sleep(60);
  }
}

function quantile(numbers: readonly number[], part: number): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length * part)] ?? Number.NaN;
}

test(`50 MB through ${CUTS} random cuts come back byte-equal, and each cut costs next to nothing (seed ${SEED})`, async () => {
  const random = seeded(SEED);
  let fate = STEADY;
  const proxy = await FlakyProxy.open(server.url, () => {
    if (proxy.cuts >= CUTS) return STEADY;
    const cutAfterBytes = 1 + Math.floor((random() * 1.6 * LENGTH) / CUTS); // so that bytes are left for the last of them
    const [cutBy, lingerMs] = [random() < 0.5 ? "reset" : "end", random() < 0.5 ? 0 : LINGER_MS] as const;
    fate = { ...STEADY, cutAfterBytes, cutBy, lingerMs };
    return fate;
  });
  const plain = bytesOf(LENGTH, SEED);
  const path = await begin(server.url, LENGTH, CHUNK_BYTES);
  const lostBytes = { reset: [] as number[], lateReset: [] as number[], end: [] as number[] };
  for (let state = await head(server.url, path); state.hash === null; ) {
    const { passedBytes: passedBefore, cuts } = proxy;
    const sent = plain.subarray(state.offset, state.offset + SENT_BYTES);
    await patch(proxy.url, path, state.offset, sent).catch(() => null);
    const reached = proxy.passedBytes - passedBefore;
    const now = await settledOffset(path, state.offset + reached);
    expect(now.offset).toBeGreaterThanOrEqual(state.offset);
    const kind = fate.cutBy === "reset" && fate.lingerMs > 0 ? "lateReset" : fate.cutBy;
    if (proxy.cuts > cuts) lostBytes[kind].push(state.offset + reached - now.offset);
    state = now;
  }
  expect(proxy.cuts).toBe(CUTS);
  await proxy.close();
  const { hash } = await head(server.url, path);
  expect(Buffer.compare(await download(server.url, hash ?? ""), plain)).toBe(0);
  expect(Object.values(lostBytes).flat()).toHaveLength(CUTS);
  expect(quantile(lostBytes.end, 0.75)).toBeLessThan(HEAD_BYTES);
  expect(quantile(lostBytes.lateReset, 0.5)).toBeLessThan(HEAD_BYTES);
}, 600_000);

test(`requests that stall one after the other, each of their pieces late, hold up nobody (seed ${SEED})`, async () => {
  const random = seeded(SEED + 1);
  let isSteady = false;
  const proxy = await FlakyProxy.open(server.url, () => {
    const stallAfterBytes = isSteady ? Number.POSITIVE_INFINITY : 100_000 + Math.floor(random() * 200_000);
    return { ...STEADY, stallAfterBytes, delayMs: 3 };
  });
  const plain = bytesOf(3_000_000, SEED);
  const path = await begin(server.url, plain.length, CHUNK_BYTES);
  const ends: Promise<number | null>[] = [];
  let offset = 0;
  for (let i = 0; i < 8; i++) {
    const answer = patch(proxy.url, path, offset, plain.subarray(offset));
    ends.push(answer.then(({ status }) => status).catch(() => null));
    const before = offset;
    while (offset === before) ({ offset } = await settledOffset(path, plain.length));
    expect(offset % (CHUNK_BYTES - 32)).toBe(0); // whole chunks: the rest waits with its stalled request
  }
  isSteady = true;
  // A stalled request may have kept more meanwhile.
  let last = 409;
  for (let tries = 0; tries < 5 && last === 409; tries++) {
    ({ offset } = await head(server.url, path));
    last = (await patch(proxy.url, path, offset, plain.subarray(offset))).status;
  }
  expect(last).toBe(204);
  await proxy.close();
  expect(await Promise.all(ends)).not.toContain(204);
  const { hash } = await head(server.url, path);
  expect(Buffer.compare(await download(server.url, hash ?? ""), plain)).toBe(0);
}, 300_000);
