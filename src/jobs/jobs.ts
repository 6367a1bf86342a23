/**
 * Background work on graphile-worker, over the same PostgreSQL: replicas share one queue, and a job whose replica died
 * is done by another. One line each to a core function; what a job does is core's business.
 */
import type { Runner, TaskList } from "graphile-worker";
import { Logger, parseCronItems, run, runMigrations } from "graphile-worker";
import type { Pool } from "pg";
import type { Log } from "../core/ports.js";

/** What can be done in the background. Each ends early when its signal fires, and can be done again. */
export interface Work {
  sweep(signal: AbortSignal): Promise<unknown>;
}

const CRON = [{ task: "sweep", match: "* * * * *", options: { backfillPeriod: 0, maxAttempts: 1 } }];

/** Creates or updates graphile-worker's own schema. */
export async function migrateJobs(pool: Pool): Promise<void> {
  await runMigrations({ pgPool: pool });
}

/** Starts working until `stop`, which waits for the job under way. */
export async function startJobs(pool: Pool, work: Work, log: Log): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController();
  const taskList: TaskList = { sweep: () => work.sweep(stopping.signal).then(() => undefined) };
  const runner: Runner = await run({
    pgPool: pool,
    taskList,
    parsedCronItems: parseCronItems(CRON),
    concurrency: 1,
    noHandleSignals: true, // main.ts decides when the process ends
    logger: new Logger(() => (level, message) => {
      if (level === "error") log.error(`jobs: ${message}`);
      else if (level === "warning") log.warn(`jobs: ${message}`);
    }),
  });
  return {
    async stop() {
      stopping.abort();
      await runner.stop();
    },
  };
}
