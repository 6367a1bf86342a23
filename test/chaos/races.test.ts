import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import { begin, download, head, patch } from "./client.js";
import { NOTHING_BUT_FILES } from "../process/remains.js";
import { sweepAndCompare } from "./leftovers.js";

/** Stock @tus/server with its default locker accepted both of two such PATCHes, and mixed them, in 9 of 20 runs. */
const RACES = Number(process.env["CHAOS_RACES"] ?? 2000);
const LANES = 8;
const LENGTH = 2500;
const CHUNK_BYTES = 1024;

let at: Installation;
let servers: ServerProcess[];
beforeAll(async () => {
  at = await Installation.make();
  const env = { PARITY: "none" }; // who may commit does not depend on it, and 2,000 files are many
  servers = [await at.start(env), await at.start(env)];
}, 180_000);
afterAll(() => at.remove());

/** One race; what came of it: how many of the two were told 204, and whether the file is that one's bytes. */
async function race(index: number): Promise<"one" | "none" | "both" | "mixed"> {
  const [first, second] = servers;
  if (!first || !second) throw new Error("two servers are needed");
  const path = await begin(first.url, LENGTH, CHUNK_BYTES);
  const bodies = [bytesOf(LENGTH, 2 * index), bytesOf(LENGTH, 2 * index + 1)] as const;
  const answers = await Promise.all([
    patch(first.url, path, 0, bodies[0]),
    patch(second.url, path, 0, bodies[1]),
  ]);
  const won = answers.flatMap(({ status }, i) => (status === 204 ? [bodies[i as 0 | 1]] : []));
  for (const { status, text } of answers) {
    if (status !== 204 && status !== 409) throw new Error(`race ${index}: ${status} ${text}`);
  }
  if (won.length > 1) return "both";
  const [body] = won;
  if (!body) return "none";
  const { hash } = await head(second.url, path);
  if (hash === null) throw new Error("a finished upload without a hash");
  return Buffer.compare(await download(first.url, hash), body) === 0 ? "one" : "mixed";
}

test(`of two PATCHes at once on two replicas, with different bytes, at most one succeeds and none are mixed: ${RACES} times`, async () => {
  const outcomes = { one: 0, none: 0, both: 0, mixed: 0 };
  let next = 0;
  const lane = async () => {
    while (next < RACES) outcomes[await race(next++)]++;
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  expect(outcomes).toMatchObject({ both: 0, mixed: 0 });
  expect(outcomes.one).toBeGreaterThan(RACES / 2);
  expect(await sweepAndCompare(at)).toEqual(NOTHING_BUT_FILES);
}, 600_000);
