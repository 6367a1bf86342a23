/**
 * The composition root of the service: the one file that sees every room. Adapters that only the doors need are made here,
 * those below them in vault.ts, which stores.ts opens; what has a lifetime is closed in the reverse order of opening.
 */
import "reflect-metadata"; // first: the decorators of api/graphql run as they are loaded
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
import type { Config } from "./config.js";
import { canHold, profileOf } from "./core/placement.js";
import type { TokenVerifier } from "./core/ports.js";
import { CatalogueRows } from "./database/catalogue.js";
import { ChunkCatalogueRows } from "./database/chunk-catalogue.js";
import { DatabaseClock } from "./database/clock.js";
import { LinkCatalogueRows } from "./database/link-catalogue.js";
import { LookupRows } from "./database/lookup.js";
import type { Database } from "./database/orm.js";
import { isUnavailable } from "./database/orm.js";
import { MAX_CHUNK_BYTES, MIN_CHUNK_BYTES } from "./format/layout.js";
import { OidcTokens } from "./identity/oidc.js";
import type { KeyTimings } from "./identity/provider-keys.js";
import { listen, listenForMetrics } from "./listen.js";
import { logOf } from "./log.js";
import { Closers, openStores, openVaultOf } from "./stores.js";
import type { VaultOptions, Vault } from "./vault.js";
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
  let background: { stop(): Promise<void> } | undefined;
  // Both at once: a job may take a while to end, and clients are to be told at once.
  closers.add(() => Promise.all([api.drain(config.DRAIN_SECONDS * 1000), background?.stop()]));
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
      if (options.hasJobs !== false) background = await startBackground(database, vault, config, log);
      log.info({ url, buckets: vault.buckets.count }, "listening");
      return url;
    },
    close: () => closers.close(),
  };
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
