/** What rests of an installation after everything that was under way has been given up. */
import type { Installation } from "../support/process.js";
import { setTimeout as sleep } from "node:timers/promises";
import { letTimePass, query, remains, sweep } from "../process/remains.js";

/** The servers write manifests anew once a minute; until then the old ones name objects that are dead. */
const MANIFESTS_WITHIN_MS = 180_000;

/** Expires every open upload, sweeps without a grace time, and says what is left beside whole files: `NOTHING_BUT_FILES`, it is to be hoped. */
export async function sweepAndCompare(at: Installation): Promise<Awaited<ReturnType<typeof remains>>> {
  const stale = "select file_id from manifests where written_revision < revision limit 1";
  const until = performance.now() + MANIFESTS_WITHIN_MS;
  while ((await query(at, stale)).length > 0 && performance.now() < until) await sleep(1000);
  await letTimePass(at);
  await sweep(at);
  return remains(at);
}
