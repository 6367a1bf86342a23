import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import { begin, download, head, patch } from "./client.js";
import { NOTHING_BUT_FILES } from "../process/remains.js";
import { sweepAndCompare } from "./leftovers.js";

/** Stock @tus/server with its default locker accepted both of two such PATCHes, and mixed them, in 9 of 20 runs. */
const RACES = Number(process.env["CHAOS_RACES"] ?? 2000);
const TIMEOUT_MS = Math.max(600_000, RACES * 300);
/** Uploads that are raced for at once. */
const LANES = 8;
/** Races for one upload, each for the bytes after those of the one before: chunks, and tails on the way. */
const RACES_PER_UPLOAD = 10;
const RACE_BYTES = 2_500;
const CHUNK_BYTES = 1024;

let at: Installation;
let servers: ServerProcess[];
beforeAll(async () => {
  at = await Installation.make();
  const env = { PARITY: "none" }; // who may commit does not depend on it, and 2,000 files are many
  servers = [await at.start(env), await at.start(env)];
}, 180_000);
afterAll(() => at.remove());

interface Outcomes {
  one: number;
  none: number;
  both: number;
  mixed: number;
  /** Losers that had begun to write when the other took over. */
  overtaken: number;
}

/** Ten races for one upload; counts of how many of each two were told 204, and whether the file is what those sent. */
async function race(index: number, outcomes: Outcomes): Promise<void> {
  const [first, second] = servers;
  if (!first || !second) throw new Error("two servers are needed");
  const path = await begin(first.url, RACES_PER_UPLOAD * RACE_BYTES, CHUNK_BYTES);
  const won: Uint8Array[] = [];
  for (let tries = 0; won.length < RACES_PER_UPLOAD; tries++) {
    const offset = won.length * RACE_BYTES;
    const seed = 2 * (index * 1000 + tries);
    const bodies = [bytesOf(RACE_BYTES, seed), bytesOf(RACE_BYTES, seed + 1)] as const;
    const answers = await Promise.all([
      patch(first.url, path, offset, bodies[0]),
      patch(second.url, path, offset, bodies[1]),
    ]);
    for (const { status, text } of answers) {
      if (status !== 204 && status !== 409)
        throw new Error(`upload ${index} at ${offset}: ${status} ${text}`);
    }
    if (answers.some(({ status, text }) => status === 409 && text.includes("taken"))) outcomes.overtaken++;
    const winners = bodies.filter((_, i) => answers[i]?.status === 204);
    outcomes[winners.length === 0 ? "none" : winners.length === 1 ? "one" : "both"]++;
    won.push(...winners.slice(0, 1));
  }
  const { hash } = await head(second.url, path);
  if (hash === null) throw new Error("a finished upload without a hash");
  if (Buffer.compare(await download(first.url, hash), Buffer.concat(won)) !== 0) outcomes.mixed++;
}

test(
  `of two PATCHes at once on two replicas, with different bytes, at most one succeeds and none are mixed: ${RACES} times`,
  async () => {
    const outcomes = { one: 0, none: 0, both: 0, mixed: 0, overtaken: 0 };
    let next = 0;
    const lane = async () => {
      while (next < RACES / RACES_PER_UPLOAD) await race(next++, outcomes);
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    expect(outcomes).toMatchObject({ both: 0, mixed: 0 });
    expect(outcomes.one).toBe(Math.ceil(RACES / RACES_PER_UPLOAD) * RACES_PER_UPLOAD);
    expect(outcomes.none).toBeLessThan(outcomes.one);
    expect(outcomes.overtaken).toBeGreaterThan(RACES / 10); // they really were at it at once
    await Promise.all(servers.map(server => server.kill("SIGTERM")));
    expect(await sweepAndCompare(at)).toEqual(NOTHING_BUT_FILES);
  },
  TIMEOUT_MS,
);
