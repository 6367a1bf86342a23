import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { createDatabase } from "../support/database.js";
import { seeded } from "../support/flaky-proxy.js";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import { begin, download, head, patch } from "./client.js";
import { NOTHING_BUT_FILES } from "../process/remains.js";
import { Drainer } from "./drainer.js";
import { Keeper } from "./keeper.js";
import { sweepAndCompare } from "./leftovers.js";

/** `npm run chaos` asks for more. */
const KILLS = Number(process.env["CHAOS_KILLS"] ?? 200);
const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const CLIENTS = 2;
const CHUNK_BYTES = 16 * 1024;
/** How long a replica lives once it is ready, at most. */
const MAX_LIFE_MS = 800;
/** Before each request of a client, at most, while a server is starting: that wants the processor too. */
const MAX_PAUSE_MS = 100;

const random = seeded(SEED);
let at: Installation;
let env: Record<string, string>;
/** Null: killed, and not yet back. */
const servers: (ServerProcess | null)[] = [null, null];
let isOver = false;

beforeAll(async () => {
  at = await Installation.make();
  // One more than a stripe has chunks, so that one can be drained.
  const buckets = [1, 2, 3, 4, 5, 6, 7].map(i => pathToFileURL(join(at.dataDir, "buckets", String(i))).href);
  env = { BUCKETS: buckets.join(","), MAP_KEY: randomBytes(32).toString("base64") };
  for (const i of [0, 1]) servers[i] = await at.start(env);
}, 180_000);
afterAll(() => at.remove());

/** `last`: the one to hop away from, unless it is alone. */
async function anyServer(last = ""): Promise<string> {
  if (servers.includes(null)) await sleep(random() * MAX_PAUSE_MS);
  for (;;) {
    const all = servers.filter(server => server !== null);
    const others = all.filter(({ url }) => url !== last);
    const up = others.length > 0 ? others : all;
    const server = up[Math.floor(random() * up.length)];
    if (server) return server.url;
    await sleep(20);
  }
}

/** Asks until a server answers. */
async function insist<T>(ask: (url: string) => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask(await anyServer());
    } catch {
      await sleep(10);
    }
  }
}

/** PATCHes that a kill cut. */
let cutPatches = 0;

/**
 * Uploads in PATCHes of random sizes, each to another replica, until told that it is over; returns hashes with their bytes. What
 * is left to send may be other bytes after a cut: the last version is what counts.
 */
async function upload(seed: number): Promise<Map<string, Uint8Array>> {
  const finished = new Map<string, Uint8Array>();
  for (let round = 0; !isOver; round++) {
    const plain = bytesOf(200_000 + Math.floor(random() * 800_000), seed * 1000 + round);
    const path = await insist(url => begin(url, plain.length, CHUNK_BYTES));
    let acknowledged = 0;
    let last = "";
    let isCut = false;
    for (;;) {
      const { offset, hash } = await insist(url => head(url, path));
      expect(offset).toBeGreaterThanOrEqual(acknowledged); // what was acknowledged is never lost
      acknowledged = offset;
      if (hash !== null) {
        finished.set(hash, plain);
        break;
      }
      if (isCut) plain.set(bytesOf(plain.length - offset, cutPatches), offset);
      const size = 1 + Math.floor(random() * 150_000);
      const part = plain.subarray(offset, offset + size);
      last = await anyServer(last);
      const answer = await patch(last, path, offset, part).catch(() => null);
      isCut = answer === null;
      if (isCut) cutPatches++;
      if (answer?.status === 204 && answer.offset !== null) acknowledged = answer.offset;
    }
  }
  return finished;
}

/** Kills each replica without regard to the others, so that now one, now the other, now both are away. */
async function killAndRestart(): Promise<void> {
  let kills = 0;
  const haunt = async (victim: number) => {
    while (kills++ < KILLS) {
      await sleep(random() * MAX_LIFE_MS);
      const server = servers[victim];
      servers[victim] = null;
      await server?.kill("SIGKILL");
      servers[victim] = await at.start(env);
    }
  };
  await Promise.all(servers.map((_, i) => haunt(i)));
  isOver = true;
}

async function checkAll(files: readonly [string, Uint8Array][], url: string): Promise<void> {
  for (const [hash, plain] of files) expect(Buffer.compare(await download(url, hash), plain)).toBe(0);
}

/** Makes an empty database anew from the buckets, and starts a server over it. */
async function recoverAll(overIt: Record<string, string>, files: number): Promise<string> {
  const recovery = at.begin(["recover", "--all"], { ...overIt, LOG_LEVEL: "error" });
  expect([await recovery.exited(), recovery.output]).toEqual([0, expect.stringMatching(/^{.*}\s*$/)]);
  expect(JSON.parse(recovery.output)).toMatchObject({
    files,
    damaged: [],
    unreadable: [],
    unnamed: [],
    missing: { chunks: 0, files: 0 },
  });
  return (await at.start(overIt)).url;
}

test(`${KILLS} kills of two replicas lose no acknowledged byte and leave nothing behind, nor does the database (seed ${SEED})`, async () => {
  const keeper = new Keeper(at, insist, random);
  const drainer = new Drainer(at, env, insist, random);
  const [, , , ...all] = await Promise.all([
    killAndRestart(),
    keeper.live(() => isOver),
    drainer.live(() => isOver),
    ...Array.from({ length: CLIENTS }, (_, i) => upload(i)),
  ]);
  const files = all.flatMap(finished => [...finished]);
  expect(files.length).toBeGreaterThan(CLIENTS);
  expect(cutPatches).toBeGreaterThan(KILLS / 10);
  await checkAll(files, await anyServer());
  expect(keeper.fileCount).toBeGreaterThan(1);
  expect(drainer.count).toBeGreaterThan(0);
  await keeper.check(await anyServer());
  await Promise.all(servers.map(server => server?.kill("SIGKILL")));
  expect(await sweepAndCompare(at, env)).toEqual(NOTHING_BUT_FILES);

  // Then the database is gone as well.
  const fresh = await createDatabase();
  try {
    const url = await recoverAll({ ...env, DATABASE_URL: fresh.url }, files.length + keeper.keptCount);
    await checkAll(files, url);
    await keeper.checkKept(url);
  } finally {
    await fresh.drop();
  }
}, 3_600_000);
