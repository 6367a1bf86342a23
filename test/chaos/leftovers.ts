/** What rests of an installation after everything that was under way has been given up. */
import type { Installation } from "../support/process.js";
import { letTimePass, remains, sweep } from "../process/remains.js";

/**
 * Expires every open upload, sweeps without a grace time, and says what is left beside whole files: `NOTHING_BUT_FILES`, it is
 * to be hoped. No server may run: its own jobs would go on meanwhile.
 */
export async function sweepAndCompare(
  at: Installation,
  env: Readonly<Record<string, string>> = {},
): Promise<Awaited<ReturnType<typeof remains>>> {
  // Writes manifests anew whose objects are dead; the servers do that once a minute.
  const { exitCode, output } = await at.run("repair", env);
  if (exitCode !== 0) throw new Error(`the repair ended with ${exitCode}:\n${output}`);
  await letTimePass(at);
  await sweep(at, env);
  return remains(at);
}
