/** What rests of an installation: objects, and the rows that name them. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { Installation } from "../support/process.js";

/** A row of the chunk map, and where its object lies. */
export interface StoredObject {
  readonly objectKey: string;
  readonly storedBytes: number;
  readonly path: string;
}

export async function query<Row extends pg.QueryResultRow>(
  at: Installation,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client(at.database.url);
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}

/** As time would: uploads expire, what was moved or claimed when somebody was killed is free again, and so is what a mover held. */
export async function letTimePass(at: Installation): Promise<void> {
  await query(at, "update uploads set expires_at = now() - interval '1 second' where stage = 'receiving'");
  await query(at, "update dead_objects set claimed_until = '-infinity'");
  await query(at, "update pending_objects set held_until = now() where held_until > now()");
}

/** One sweep that gives nobody time. */
export async function sweep(at: Installation, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const { exitCode, output } = await at.run("sweep", { SWEEP_GRACE_SECONDS: "0", ...env });
  if (exitCode !== 0) throw new Error(`the sweep ended with ${exitCode}:\n${output}`);
}

/** What {@link remains} says when every object is named by the chunk map of a file or is part of a manifest, and each of these is there. */
export const NOTHING_BUT_FILES = { unnamed: [], missing: [], pendingRows: 0, deadRows: 0 };

export async function remains(at: Installation) {
  const named = await query<{ key: string }>(
    at,
    `select replace(object_key::text, '-', '') as key
     from (select object_key from chunks join files on files.id = file_id
           union all select object_key from manifest_objects) as named`,
  );
  const [rows] = await query<{ pending: number; dead: number }>(
    at,
    "select (select count(*)::int from pending_objects) as pending, (select count(*)::int from dead_objects) as dead",
  );
  const objects = new Set((await objectPaths(at)).map(path => path.slice(-32)));
  const keys = new Set(named.map(({ key }) => key));
  return {
    unnamed: [...objects].filter(key => !keys.has(key)),
    missing: [...keys].filter(key => !objects.has(key)),
    pendingRows: rows?.pending,
    deadRows: rows?.dead,
  };
}

/** The chunk rows of one file in their order, each with the path of its object. */
export async function objectsOf(at: Installation, hash: string): Promise<StoredObject[]> {
  const rows = await query<{ key: string; stored_bytes: number }>(
    at,
    `select replace(object_key::text, '-', '') as key, stored_bytes from chunks
     where file_id = (select id from files where hash = decode($1, 'hex')) order by stripe, shard`,
    [hash],
  );
  const paths = new Map((await objectPaths(at)).map(path => [path.slice(-32), path]));
  return rows.map(({ key, stored_bytes }) => {
    const path = paths.get(key);
    if (path === undefined) throw new Error(`no object ${key}`);
    return { objectKey: key, storedBytes: stored_bytes, path };
  });
}

/** Without what a killed put has left in `.tmp`, which the next start removes when it is an hour old. */
async function objectPaths(at: Installation): Promise<string[]> {
  const entries = await readdir(join(at.dataDir, "buckets"), { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => entry.isFile() && !entry.parentPath.endsWith("/.tmp"))
    .map(entry => join(entry.parentPath, entry.name));
}
