/**
 * Background work on graphile-worker, over the same PostgreSQL: replicas share one queue, and a job whose replica died
 * is done by another. One line each to a core function; what a job does is core's business.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Runner, TaskList } from "graphile-worker";
import { Logger, parseCronItems, run, runMigrations } from "graphile-worker";
import type { Pool } from "pg";
import type { Log } from "../core/ports.js";

/** What can be done in the background. Each ends early when its signal fires, and can be done again. */
export interface Work {
  sweep(signal: AbortSignal): Promise<unknown>;
  /** Chains audit events that a dead process has left, and tells the log's head. */
  audit(signal: AbortSignal): Promise<unknown>;
  /** Writes stale recovery manifests anew. */
  manifests(signal: AbortSignal): Promise<unknown>;
  drain(signal: AbortSignal): Promise<unknown>;
  /** Rebuilds chunks that are known to be bad. */
  repair(signal: AbortSignal): Promise<unknown>;
  /** Reads a part of everything against its digests. */
  scrub(signal: AbortSignal): Promise<unknown>;
}

/** Each once a minute, by one of the replicas; what one did not do, or died over, is done a minute later. */
const TASKS = ["sweep", "repair", "manifests", "audit", "drain", "scrub"] as const satisfies (keyof Work)[];
const CRON = TASKS.map(task => ({
  task,
  match: "* * * * *",
  options: { backfillPeriod: 0, maxAttempts: 1, jobKey: task }, // one waits at most, however long others take
}));
/**
 * One at a time: when the database goes away, a runner with several workers ends only once all of them have, which can take
 * longer than the outage. So each job is short; those that move bytes take a part of their minute.
 */
const JOBS_AT_ONCE = 1;
/** How long after it stopped by itself, the database being away, the runner is started again. */
const RESTART_DELAY_MS = 5_000;

/** Creates or updates graphile-worker's own schema. */
export async function migrateJobs(pool: Pool): Promise<void> {
  await runMigrations({ pgPool: pool });
}

/** Starts working until `stop`, which waits for the job under way. Outlives a database that goes away and comes back. */
export async function startJobs(pool: Pool, work: Work, log: Log): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const taskList: TaskList = Object.fromEntries(
    TASKS.map(task => [task, () => work[task](signal).then(() => undefined)]),
  );
  let runner = await startRunner(pool, taskList, log);
  const watching = watch();
  return {
    async stop() {
      stopping.abort();
      await runner.stop().catch(() => {}); // it may have stopped by itself
      await watching;
    },
  };

  /** graphile-worker stops for good when it loses the database in the middle of a job; the server must not. */
  async function watch(): Promise<void> {
    while (!signal.aborted) {
      await runner.promise.catch(error => log.error("jobs stopped", { reason: String(error) }));
      await sleep(RESTART_DELAY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        runner = await startRunner(pool, taskList, log);
      } catch (error) {
        log.error("jobs cannot start yet", { reason: String(error) });
      }
    }
  }
}

function startRunner(pool: Pool, taskList: TaskList, log: Log): Promise<Runner> {
  return run({
    pgPool: pool,
    taskList,
    parsedCronItems: parseCronItems(CRON),
    concurrency: JOBS_AT_ONCE,
    noHandleSignals: true, // main.ts decides when the process ends
    // Batched, with no delay: unbatched, 0.18 does not await how a job ended, and a database that is away then ends
    // the whole process by an unhandled rejection.
    preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
    logger: new Logger(() => (level, message) => {
      if (level === "error") log.error(`jobs: ${message}`);
      else if (level === "warning") log.warn(`jobs: ${message}`);
    }),
  });
}
