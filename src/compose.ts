/**
 * The composition root: the one file that sees every room. Every `new` of an adapter is here; what has a lifetime is
 * closed in the reverse order of opening.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { DestinationStream, Logger } from "pino";
import { pino } from "pino";
import { Registry, collectDefaultMetrics } from "prom-client";
import { adminOf } from "./admin-token.js";
import { meterArgon } from "./argon-metrics.js";
import { exportAuditHead } from "./audit-head.js";
import { startBackground } from "./background.js";
import type { ApiSettings } from "./api/deps.js";
import { createApi } from "./api/server.js";
import { HealthOfBuckets } from "./buckets/health.js";
import type { OpenBucketsOptions, OpenedBucket } from "./buckets/open.js";
import { openBuckets } from "./buckets/open.js";
import { parseBucketUrls } from "./buckets/spec.js";
import type { Config } from "./config.js";
import { DEFAULT_BUCKET_COUNT } from "./config.js";
import { canHold, profileOf } from "./core/placement.js";
import type { TokenVerifier } from "./core/ports.js";
import { CatalogueRows } from "./database/catalogue.js";
import { ChunkCatalogueRows } from "./database/chunk-catalogue.js";
import { DatabaseClock } from "./database/clock.js";
import { LinkCatalogueRows } from "./database/link-catalogue.js";
import { startEmbedded } from "./database/embedded.js";
import { LookupRows } from "./database/lookup.js";
import type { Database } from "./database/orm.js";
import { isMigrated, isUnavailable, migrate as migrateTables, openDatabase } from "./database/orm.js";
import { MAX_CHUNK_BYTES, MIN_CHUNK_BYTES } from "./format/layout.js";
import { OidcTokens } from "./identity/oidc.js";
import type { KeyTimings } from "./identity/provider-keys.js";
import { migrateJobs } from "./jobs/jobs.js";
import { listen, listenForMetrics } from "./listen.js";
import { mapKeyOf } from "./map-key.js";
import { logOf } from "./log.js";
import type { VaultOptions, Vault } from "./vault.js";
import { openVault } from "./vault.js";
import type { Welcome } from "./welcome.js";

const PROBE_TIMEOUT_MS = 3_000;
/** Bounds on slow clients (design §4); the idle limit is configured. */
const MIN_BYTES_PER_SECOND = 1024;
const RATE_WINDOW_MS = 30_000;
const STALL_TIMEOUT_MS = 300_000;
const HEADERS_TIMEOUT_MS = 15_000;
const MAX_CONNECTIONS = 10_000;

/** The running service. */
export interface Service {
  readonly log: Logger;
  /** What to tell a newcomer; null unless the embedded default runs. */
  readonly welcome: Welcome | null;
  /** Resolves with the address once requests are answered. */
  listen(): Promise<string>;
  close(): Promise<void>;
}

/** The operator has to act before the service can start. */
export class NotMigratedError extends Error {
  override readonly name = "NotMigratedError";

  constructor() {
    super("The database does not have this version's tables: run `scattervault migrate` first.");
  }
}

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

/** What tests may put in place of what production has. */
export interface ServiceOptions {
  /** Where log lines go. */
  readonly logTo: DestinationStream;
  readonly vault: Partial<VaultOptions>;
  /** False: nothing is done in the background. */
  readonly hasJobs: boolean;
  /** Bounds on slow clients, which tests scale down. */
  readonly limits: Partial<ApiSettings>;
  readonly keyTimings: Partial<KeyTimings>;
}

/** Builds the service and everything below it, without listening yet. */
export async function compose(
  config: Config,
  version: string,
  options: Partial<ServiceOptions> = {},
): Promise<Service> {
  const closers = new Closers();
  try {
    return await build(config, version, options, closers);
  } catch (error) {
    await closers.close();
    throw error;
  }
}

async function build(
  config: Config,
  version: string,
  options: Partial<ServiceOptions>,
  closers: Closers,
): Promise<Service> {
  const log = pino({ level: config.LOG_LEVEL }, options.logTo ?? pino.destination(1));
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const database = await openStores(config, log, closers);
  const health = new HealthOfBuckets();
  const { vault, opened } = await openVaultOf(
    config,
    database,
    { registry, health },
    log,
    closers,
    options.vault,
  );
  meterArgon(registry, vault.argon);
  exportAuditHead(registry, vault.auditTrail, logOf(log));
  const admin = await adminOf(config);
  let url = "";
  const api = await createApi({
    ...vault,
    catalogue: new CatalogueRows(database),
    tokens: tokensOf(config, options.keyTimings),
    chunkCatalogue: new ChunkCatalogueRows(database),
    linkCatalogue: new LinkCatalogueRows(database),
    lookup: new LookupRows(database),
    bucketHealth: health,
    bucketSizes: new Map(opened.map(({ spec, size }) => [spec.name, size])),
    clock: new DatabaseClock(database),
    log,
    registry,
    publicUrl: () => config.PUBLIC_URL ?? url,
    isReady: () => isReady(config, database, vault),
    isDatabaseAway: isUnavailable,
    settings: { ...settingsOf(config, version, admin.token), ...options.limits },
  });
  closers.add(() => api.drain(config.DRAIN_SECONDS * 1000));
  return {
    log,
    welcome: config.DATABASE_URL === undefined ? admin.welcome : null,
    async listen() {
      url = await listen(api, config);
      if (config.METRICS_PORT !== undefined)
        closers.add(await listenForMetrics(registry, config, config.METRICS_PORT));
      const watching = new AbortController();
      void health.watch(
        opened.map(({ bucket }) => bucket),
        watching.signal,
      );
      closers.add(async () => watching.abort());
      if (options.hasJobs !== false) {
        const background = await startBackground(database, vault, config, log);
        closers.add(() => background.stop());
      }
      log.info({ url, buckets: vault.buckets.count }, "listening");
      return url;
    },
    close: () => closers.close(),
  };
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

async function openVaultOf(
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

export function defaultBuckets(dataDir: string): string {
  return Array.from({ length: DEFAULT_BUCKET_COUNT }, (_, i) =>
    pathToFileURL(resolve(dataDir, "buckets", String(i + 1))).href.replaceAll(",", "%2C"),
  ).join(",");
}

/** Ready: the database answers, and a whole stripe could be written. */
async function isReady({ PARITY }: Config, database: Database, { buckets }: Vault): Promise<boolean> {
  const [reachable] = await Promise.all([buckets.reachable(PROBE_TIMEOUT_MS), database.ping()]);
  return canHold(profileOf(PARITY, buckets.count), reachable);
}

function tokensOf(config: Config, timings: Partial<KeyTimings> = {}): TokenVerifier | null {
  const { OIDC_ISSUER: issuer, OIDC_AUDIENCE: audience, OIDC_ROLES_CLAIM: rolesClaim } = config;
  if (issuer === undefined || audience === undefined) return null; // config has both or neither
  return new OidcTokens({ issuer, audience, rolesClaim, timings });
}

function settingsOf(config: Config, version: string, adminToken: string | null): ApiSettings {
  return {
    version,
    adminToken,
    trustProxy: config.TRUST_PROXY,
    corsOrigins: config.CORS_ORIGINS,
    minChunkBytes: MIN_CHUNK_BYTES,
    maxChunkBytes: MAX_CHUNK_BYTES,
    defaultChunkBytes: config.CHUNK_SIZE,
    maxUploadBytes: config.MAX_UPLOAD_SIZE,
    minPasswordLength: config.MIN_PASSWORD_LENGTH,
    maxExpiresInSeconds: config.MAX_EXPIRES_IN_SECONDS,
    idleTimeoutMs: config.IDLE_TIMEOUT_SECONDS * 1000,
    minBytesPerSecond: MIN_BYTES_PER_SECOND,
    rateWindowMs: RATE_WINDOW_MS,
    stallTimeoutMs: STALL_TIMEOUT_MS,
    headersTimeoutMs: HEADERS_TIMEOUT_MS,
    maxConnections: MAX_CONNECTIONS,
    servesMetrics: config.METRICS_PORT === undefined,
    introspection: config.GRAPHQL_INTROSPECTION === "on",
  };
}
