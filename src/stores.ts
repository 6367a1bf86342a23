/** Opens what the service and the commands that end both stand on: the database, the buckets, and core over them. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Logger } from "pino";
import { pino } from "pino";
import { Registry } from "prom-client";
import type { OpenBucketsOptions, OpenedBucket } from "./buckets/open.js";
import { openBuckets } from "./buckets/open.js";
import { parseBucketUrls } from "./buckets/spec.js";
import type { Config } from "./config.js";
import { DEFAULT_BUCKET_COUNT } from "./config.js";
import { profileOf } from "./core/placement.js";
import { startEmbedded } from "./database/embedded.js";
import { NotMigratedError } from "./database/not-migrated-error.js";
import type { Database } from "./database/orm.js";
import { isMigrated, migrate as migrateTables, openDatabase } from "./database/orm.js";
import { migrateJobs } from "./jobs/jobs.js";
import { mapKeyOf } from "./map-key.js";
import { logOf } from "./log.js";
import type { VaultOptions, Vault } from "./vault.js";
import { openVault } from "./vault.js";

/** Things opened in order, closed in reverse. */
export class Closers {
  readonly #stack: (() => Promise<unknown>)[] = [];

  add(close: () => Promise<unknown>): void {
    this.#stack.push(close);
  }

  async close(): Promise<void> {
    for (let close = this.#stack.pop(); close; close = this.#stack.pop()) await close();
  }
}

/** Brings the database to this version's tables, and ends. */
export async function migrate(config: Config): Promise<void> {
  const log = pino({ level: config.LOG_LEVEL });
  const closers = new Closers();
  try {
    const database = await openDatabaseOf(config, log, closers);
    await migrateTables(database, logOf(log));
    await migrateJobs(await database.pool());
  } finally {
    await closers.close();
  }
}

/** {@link withStores}, and what is below the doors. */
export function withVault<T>(config: Config, act: (vault: Vault, log: Logger) => Promise<T>): Promise<T> {
  return withStores(config, async (database, log, closers) => {
    const { vault } = await openVaultOf(config, database, { registry: new Registry() }, log, closers);
    return act(vault, log);
  });
}

/** For commands that end: opens the database, and closes what was opened when `act` is done. */
export async function withStores<T>(
  config: Config,
  act: (database: Database, log: Logger, closers: Closers) => Promise<T>,
): Promise<T> {
  const log = pino({ level: config.LOG_LEVEL }, pino.destination(2)); // stdout is for the result
  const closers = new Closers();
  try {
    return await act(await openStores(config, log, closers), log, closers);
  } finally {
    await closers.close();
  }
}

/** The database with its tables. Throws NotMigratedError. */
export async function openStores(config: Config, log: Logger, closers: Closers): Promise<Database> {
  const database = await openDatabaseOf(config, log, closers);
  if (config.DATABASE_URL === undefined) {
    await migrateTables(database, logOf(log));
    await migrateJobs(await database.pool());
  } else if (!(await isMigrated(database))) {
    throw new NotMigratedError();
  }
  return database;
}

async function openDatabaseOf(config: Config, log: Logger, closers: Closers): Promise<Database> {
  const url = config.DATABASE_URL ?? (await startEmbeddedOf(config, log, closers));
  const database = await openDatabase({ url, poolSize: config.DATABASE_POOL_SIZE, log: logOf(log) });
  closers.add(() => database.close());
  return database;
}

async function startEmbeddedOf(config: Config, log: Logger, closers: Closers): Promise<string> {
  const embedded = await startEmbedded({ dataDir: resolve(config.DATA_DIR, "postgres"), log: logOf(log) });
  closers.add(() => embedded.stop());
  return embedded.url;
}

/** Buckets and core. A bucket that is not well is said to be, and stays configured. */
export async function openVaultOf(
  config: Config,
  database: Database,
  watchers: Pick<OpenBucketsOptions, "registry" | "health">,
  log: Logger,
  closers: Closers,
  options: Partial<VaultOptions> = {},
): Promise<{ vault: Vault; opened: readonly OpenedBucket[] }> {
  const specs = config.BUCKETS ?? parseBucketUrls(defaultBuckets(config.DATA_DIR));
  const gcsEndpoint = config.GCS_ENDPOINT;
  const opened = await openBuckets(specs, {
    ...watchers,
    ...(gcsEndpoint === undefined ? {} : { gcsEndpoint }),
  });
  for (const { spec, problem } of opened) {
    if (problem)
      log.error({ bucket: spec.name, reason: problem.message }, "a bucket is not well; it stays configured");
  }
  if (profileOf(config.PARITY, opened.length).parityChunks === 0)
    log.warn("new files have no parity: a file is lost when a bucket that holds one of its chunks is");
  const settings = { ...config, MAP_KEY: await mapKeyOf(config, logOf(log)) };
  const vault = await openVault(settings, database, opened, logOf(log), options);
  closers.add(() => vault.close());
  return { vault, opened };
}

/** As `BUCKETS` would have them. */
export function defaultBuckets(dataDir: string): string {
  return Array.from({ length: DEFAULT_BUCKET_COUNT }, (_, i) =>
    pathToFileURL(resolve(dataDir, "buckets", String(i + 1))).href.replaceAll(",", "%2C"),
  ).join(",");
}
