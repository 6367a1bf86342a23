/** What a replica does while nobody asks: sweeping, telling the audit log's head, keeping manifests up, emptying buckets that are draining, reading everything again and making it whole. */
import type { Logger } from "pino";
import { logAuditHead } from "./audit-head.js";
import type { Config } from "./config.js";
import type { AuditHead } from "./core/audit.js";
import { drain } from "./core/drain.js";
import { repair } from "./core/repair.js";
import { scrub } from "./core/scrub.js";
import { sweep } from "./core/sweep.js";
import type { Database } from "./database/orm.js";
import { startJobs } from "./jobs/jobs.js";
import { logOf } from "./log.js";
import type { Vault } from "./vault.js";

/** Of each minute: the other jobs wait for these. */
const SWEEP_SLICE_MS = 15_000;
const MANIFESTS_SLICE_MS = 15_000;
const DRAIN_SLICE_MS = 20_000;
const REPAIR_SLICE_MS = 15_000;
const SCRUB_SLICE_MS = 15_000;

/** Begins; `stop` waits for what is under way. */
export async function startBackground(
  database: Database,
  vault: Vault,
  config: Config,
  log: Logger,
): Promise<{ stop(): Promise<void> }> {
  let head: AuditHead | null = null;
  const work = {
    sweep: (signal: AbortSignal) => sweep(vault.sweepable, signal, SWEEP_SLICE_MS),
    async audit() {
      head = await logAuditHead(vault.auditTrail, logOf(log), head);
    },
    manifests: (signal: AbortSignal) => vault.manifests.refreshStale(signal, MANIFESTS_SLICE_MS),
    drain: (signal: AbortSignal) => drain(vault.drainable, { timeMs: DRAIN_SLICE_MS, signal }),
    repair: (signal: AbortSignal) => repair(vault.scrubbable, { timeMs: REPAIR_SLICE_MS, signal }),
    scrub: (signal: AbortSignal) => {
      const bytesPerSecond = config.SCRUB_BYTES_PER_SECOND;
      return scrub(vault.scrubbable, {
        timeMs: SCRUB_SLICE_MS,
        signal,
        bytesPerSecond,
        repairsUnreadable: false,
      });
    },
  };
  return startJobs(await database.pool(), work, logOf(log));
}
