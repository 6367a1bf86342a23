/**
 * Worlds of files, uploads and failing buckets, each made of one number: `SIM_SEED=17 npm test -- test/chaos/simulation` replays
 * the one that failed, and says what it did.
 */
import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { seeded } from "../support/flaky-proxy.js";
import type { Vault } from "../support/vault.js";
import { openVault } from "../support/vault.js";
import { World } from "./world.js";

const [FIRST, COUNT] = process.env["SIM_SEED"]
  ? [Number(process.env["SIM_SEED"]), 1]
  : [1, Number(process.env["SIM_SEEDS"] ?? 1000)];
const STEPS = 8;
/** Between two worlds: longer than any suspicion of a bucket lasts, so that no world inherits one. */
const BETWEEN_MS = 60_000;

let vault: Vault;
/** Of the world that is simulated; apart from its steps, which no detour of a chunk may shift. */
let placement = seeded(FIRST);
let passedMs = 0;
beforeAll(async () => {
  vault = await openVault({ parity: "default", argonMemoryKiB: 8, random: () => placement() });
  const { now } = performance;
  jest.spyOn(performance, "now").mockImplementation(() => now.call(performance) + passedMs);
});
afterAll(async () => {
  await vault.close();
  jest.restoreAllMocks();
});

test(`${COUNT} worlds from seed ${FIRST} on: what was acknowledged is there after each step, and nothing else at the end`, async () => {
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    placement = seeded(-seed);
    passedMs += BETWEEN_MS;
    const world = new World(vault, seeded(seed), seed);
    const steps: string[] = [];
    try {
      for (let i = 0; i < STEPS; i++) {
        await world.step(name => steps.push(name));
        await world.check();
      }
      await world.end();
    } catch (cause) {
      throw new Error(`seed ${seed} failed after: ${steps.join(" · ")}`, { cause });
    }
  }
  expect(await vault.objects()).toEqual([]);
}, 3_600_000);
