/**
 * Worlds of files, uploads and failing buckets, each made of one number: `SIM_SEED=17 npm test -- test/chaos/simulation` replays
 * the one that failed, and says what it did.
 */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { seeded } from "../support/flaky-proxy.js";
import type { Vault } from "../support/vault.js";
import { openVault } from "../support/vault.js";
import { World } from "./world.js";

const [FIRST, COUNT] = process.env["SIM_SEED"]
  ? [Number(process.env["SIM_SEED"]), 1]
  : [1, Number(process.env["SIM_SEEDS"] ?? 1000)];
const STEPS = 8;

let vault: Vault;
/** Of the world that is simulated. */
let random = seeded(FIRST);
beforeAll(async () => {
  vault = await openVault({ parity: "default", argonMemoryKiB: 8, random: () => random() });
});
afterAll(() => vault.close());

test(`${COUNT} worlds from seed ${FIRST} on: what was acknowledged is there after each step, and nothing else at the end`, async () => {
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    random = seeded(seed);
    const world = new World(vault, random, seed);
    const steps: string[] = [];
    try {
      for (let i = 0; i < STEPS; i++) {
        steps.push(await world.step());
        await world.check();
      }
      await world.end();
    } catch (cause) {
      throw new Error(`seed ${seed} failed after: ${steps.join(" · ")}`, { cause });
    }
  }
  expect(await vault.objects()).toEqual([]);
}, 3_600_000);
