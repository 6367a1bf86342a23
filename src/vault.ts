/** Core, wired to its stores, buckets and threads: everything below the doors. Tests compose it over faulty buckets. */
import { randomInt } from "node:crypto";
import type { OpenedBucket } from "./buckets/open.js";
import { isCommonPassword } from "./common-passwords.js";
import type { Config } from "./config.js";
import { ArgonRuns } from "./core/argon-runs.js";
import { Auditor } from "./core/auditor.js";
import type { AuditTrail } from "./core/audit.js";
import { BucketSet } from "./core/bucket-set.js";
import { Buckets } from "./core/buckets.js";
import { Budget } from "./core/budget.js";
import { CommitPace } from "./core/commits.js";
import { Concatenations } from "./core/concat.js";
import type { DrainDeps } from "./core/drain.js";
import type { RepairDeps } from "./core/repair.js";
import type { ScrubDeps } from "./core/scrub.js";
import { Verifier } from "./core/verify.js";
import { Downloads } from "./core/downloads.js";
import { Files } from "./core/files.js";
import { Links } from "./core/links.js";
import { Manifests } from "./core/manifests.js";
import { Passwords } from "./core/passwords.js";
import type { Random } from "./core/placement.js";
import { profileOf } from "./core/placement.js";
import type { BucketDirectory, ChunkMap, Log, PasswordHasher } from "./core/ports.js";
import type { ParityCoder, Sealer } from "./core/sealing.js";
import type { SweepDeps } from "./core/sweep.js";
import { Uploads } from "./core/uploads.js";
import { Attempts, UNLIMITED } from "./database/attempts.js";
import { AuditRows } from "./database/audit-log.js";
import { AuditTrailRows } from "./database/audit-trail.js";
import { BucketRows } from "./database/bucket-directory.js";
import { ChunkRows } from "./database/chunk-map.js";
import { DatabaseClock } from "./database/clock.js";
import { DamageRows } from "./database/damage.js";
import { DeadRows, LostRows } from "./database/dead-objects.js";
import { ExpiryRows } from "./database/expiries.js";
import { FileRows } from "./database/file-store.js";
import { GrantRows } from "./database/grant-store.js";
import { ManifestRows } from "./database/manifest-store.js";
import { HealthRows } from "./database/health-store.js";
import { MoveRows } from "./database/moves.js";
import type { Database } from "./database/orm.js";
import { UploadRows } from "./database/upload-store.js";
import { UseRows } from "./database/use-store.js";
import { HasherPool } from "./workers/hasher-pool.js";
import { SealerPool } from "./workers/pool.js";

/** randomInt's largest range. Placement is drawn from the system's random numbers, so that nobody can foretell it. */
const RANDOM_STEPS = 2 ** 48 - 1;
/** Callers that may wait for memory at once, and for Argon2: more are told BUSY. */
const MAX_MEMORY_WAITERS = 10_000;
const MAX_ARGON_WAITERS = 64;
/** Memory for chunks that are being rebuilt, beside MEMORY_BUDGET. */
const REBUILD_BYTES = 32 * 1024 * 1024;
/** Of MEMORY_BUDGET: for parity that is summed while its chunks come. */
const PARITY_PART = 1 / 8;

export interface Vault {
  readonly uploads: Uploads;
  readonly concatenations: Concatenations;
  readonly downloads: Downloads;
  readonly links: Links;
  readonly files: Files;
  readonly buckets: BucketSet;
  readonly steering: Buckets;
  readonly bucketDirectory: BucketDirectory;
  readonly chunkMap: ChunkMap;
  readonly audit: Auditor;
  readonly auditTrail: AuditTrail;
  readonly manifests: Manifests;
  /** Memory for bytes on their way. */
  readonly budget: Budget;
  /** For its counts. */
  readonly argon: ArgonRuns;
  readonly drainable: DrainDeps;
  readonly scrubbable: ScrubDeps;
  readonly verifier: Verifier;
  readonly sweepable: SweepDeps;
  close(): Promise<void>;
}

/** What tests may put in place of what production has. */
export interface VaultOptions {
  /** Tests have no built worker file to start threads from, and seal on their own thread. */
  readonly makeSealer: (threads: number) => Sealer & ParityCoder & { close(): Promise<void> };
  readonly makeHasher: (threads: number) => PasswordHasher & { close(): Promise<void> };
  /** How long a holder of memory may wait for its client while others wait for memory, in milliseconds. */
  readonly idleGraceMs: number;
  /** What placement draws from. */
  readonly random: Random;
}

const PRODUCTION: VaultOptions = {
  makeSealer: threads => new SealerPool(threads),
  makeHasher: threads => new HasherPool(threads),
  idleGraceMs: 10_000,
  random: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
};

export async function openVault(
  config: Config,
  database: Database,
  opened: readonly Pick<OpenedBucket, "spec" | "bucket">[],
  log: Log,
  options: Partial<VaultOptions> = {},
): Promise<Vault> {
  const { makeSealer, makeHasher, idleGraceMs, random } = { ...PRODUCTION, ...options };
  const bucketDirectory = new BucketRows(database);
  const chunkMap = new ChunkRows(database);
  const uploadRows = new UploadRows(database);
  const fileRows = new FileRows(database);
  const grants = new GrantRows(database);
  const clock = new DatabaseClock(database);
  const auditRows = new AuditRows(database, log);
  const audit = new Auditor(auditRows, log);
  const limiter = config.RATE_LIMIT === "on" ? await Attempts.open(database) : UNLIMITED;
  const configured = opened.map(({ spec, bucket }) => ({
    bucket,
    provider: spec.provider,
    region: spec.region,
    domain: spec.domain,
  }));
  const buckets = await BucketSet.open(configured, bucketDirectory, log);
  const sealer = makeSealer(config.SEAL_THREADS);
  const waiting = { maxWaiters: MAX_MEMORY_WAITERS, idleGraceMs };
  const parityBytes = Math.floor(config.MEMORY_BUDGET * PARITY_PART);
  const budget = new Budget(config.MEMORY_BUDGET - parityBytes, { ...waiting, keepsRoom: true });
  const hasher = makeHasher(config.ARGON2_CONCURRENCY);
  const argon = new ArgonRuns(
    hasher,
    new Budget(config.ARGON2_CONCURRENCY * config.ARGON2_MEMORY_KIB, {
      maxWaiters: MAX_ARGON_WAITERS,
      idleGraceMs,
    }),
  );
  const passwords = new Passwords({
    grants,
    limiter,
    argon,
    cost: {
      memoryKiB: config.ARGON2_MEMORY_KIB,
      passes: config.ARGON2_PASSES,
      lanes: config.ARGON2_LANES,
    },
    minLength: config.MIN_PASSWORD_LENGTH,
    isCommon: isCommonPassword,
    pepper: config.PEPPER ?? null,
  });
  const termLimits = { maxExpiresInSeconds: config.MAX_EXPIRES_IN_SECONDS };
  const gathering = {
    buckets,
    chunkMap,
    sealer,
    budget,
    parityBudget: new Budget(parityBytes, waiting),
    rebuildBudget: new Budget(REBUILD_BYTES, waiting),
    damage: new DamageRows(database),
    log,
  };
  const manifests = new Manifests({
    buckets,
    chunkMap,
    budget,
    random,
    store: new ManifestRows(database),
    operatorKey: config.MAP_KEY ?? null,
    log,
  });
  const files = new Files({ store: fileRows, passwords, audit, clock, termLimits, manifests });
  const links = new Links({
    files,
    fileStore: fileRows,
    grants,
    passwords,
    clock,
    audit,
    defaultTtlSeconds: config.LINK_TTL_SECONDS,
  });
  const uses = new UseRows(database);
  const endable = { buckets, expiries: new ExpiryRows(database), uploads: uploadRows, files: fileRows, log };
  const downloads = new Downloads({ ...gathering, links, endable, uses, audit });
  const moves = new MoveRows(database);
  const uploads = new Uploads({
    ...gathering,
    uploads: uploadRows,
    files: fileRows,
    grants,
    passwords,
    limiter,
    clock,
    audit,
    random,
    pace: new CommitPace(),
    manifests,
    uploadTtlSeconds: config.UPLOAD_TTL_HOURS * 3600,
    maxUploadBytes: config.MAX_UPLOAD_SIZE,
    profile: async () => profileOf(config.PARITY, (await buckets.candidates()).length),
    defaultChunkBytes: config.CHUNK_SIZE,
    termLimits,
    isOpenToAll: config.UPLOADS === "open",
  });
  const concatenations = new Concatenations(uploads, log);
  const health = new HealthRows(database);
  const repairing: RepairDeps = {
    ...gathering,
    coder: sealer,
    moves,
    random,
    files: fileRows,
    audit,
    health,
    keepSeconds: config.SWEEP_GRACE_SECONDS,
    idleSeconds: config.SWEEP_GRACE_SECONDS,
  };
  const scrubbable = { ...repairing, places: health, damagedFiles: health, manifests };
  return {
    uploads,
    concatenations,
    downloads,
    links,
    files,
    buckets,
    steering: new Buckets({ set: buckets, directory: bucketDirectory, audit, log }),
    bucketDirectory,
    chunkMap,
    audit,
    auditTrail: new AuditTrailRows(database, auditRows),
    manifests,
    budget,
    argon,
    drainable: {
      ...repairing,
      ...endable,
      listing: moves,
      directory: bucketDirectory,
      bytesPerSecond: config.MOVE_BYTES_PER_SECOND,
    },
    scrubbable,
    verifier: new Verifier({ files, audit, scrubbing: scrubbable }),
    sweepable: {
      ...endable,
      lost: new LostRows(database),
      dead: new DeadRows(database),
      graceSeconds: config.SWEEP_GRACE_SECONDS,
    },
    async close() {
      await concatenations.close();
      await Promise.all([sealer.close(), hasher.close()]);
      await audit.close();
      await auditRows.close();
    },
  };
}
