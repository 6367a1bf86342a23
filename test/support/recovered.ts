/** A file as another installation recovers it: from the buckets, and nothing else. */
import { Budget } from "../../src/core/budget.js";
import { gather } from "../../src/core/gather.js";
import { Latencies } from "../../src/core/latencies.js";
import type { Bucket } from "../../src/core/ports.js";
import { recoverFile } from "../../src/core/recovery.js";
import { InlineSealer } from "../../src/workers/inline.js";
import { silent } from "./log.js";
import { collect } from "./vault.js";

export async function recoverFrom(
  buckets: readonly Bucket[],
  hash: string,
  password: string,
  pepper: Buffer | null = null,
) {
  const recovered = await recoverFile({ buckets, pepper, log: silent }, hash, password);
  const budget = () => new Budget(16 * 1024 * 1024, { maxWaiters: 10, idleGraceMs: 1000 });
  const deps = {
    buckets: { ...recovered.buckets, suspects: new Set<number>(), latencies: new Latencies() },
    chunkMap: recovered.chunkMap,
    sealer: new InlineSealer(),
    budget: budget(),
    rebuildBudget: budget(),
    damage: { async report() {} },
    log: silent,
  };
  const range = { start: 0, end: recovered.body.plainBytes };
  const read = () => collect(gather(deps, recovered.body, range, new AbortController().signal, () => {}));
  return { ...recovered, read };
}
