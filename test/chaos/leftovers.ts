/** What rests in the folder buckets of an installation, beside what the chunk map names. */
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import type { Installation } from "../support/process.js";
import { environmentOf, MAIN } from "../support/process.js";

/** Expires every open upload, sweeps without a grace time, and says which objects nothing names and which are missing. */
export async function sweepAndCompare(at: Installation): Promise<{ orphans: string[]; missing: string[] }> {
  const client = new pg.Client(at.database.url);
  await client.connect();
  try {
    await client.query(
      "update uploads set expires_at = now() - interval '1 second' where stage = 'receiving'",
    );
    const env = environmentOf(at, { SWEEP_GRACE_SECONDS: "0", LOG_LEVEL: "silent" });
    await promisify(execFile)(process.execPath, [MAIN, "sweep"], { env });
    const { rows } = await client.query<{ key: string }>(
      "select replace(object_key::text, '-', '') as key from chunks",
    );
    const named = new Set(rows.map(row => row.key));
    const there = new Set(await objectsUnder(join(at.dataDir, "buckets")));
    return {
      orphans: [...there].filter(key => !named.has(key)),
      missing: [...named].filter(key => !there.has(key)),
    };
  } finally {
    await client.end();
  }
}

/** Objects; what a killed put has left under `.tmp` is none, and goes at a later start. */
async function objectsUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter(
      entry => entry.isFile() && /^[0-9a-f]{32}$/.test(entry.name) && basename(entry.parentPath) !== ".tmp",
    )
    .map(entry => entry.name);
}
