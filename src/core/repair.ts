/**
 * Making whole what lost chunks: a chunk that cannot be had is rebuilt from k others of its stripe, proven by its digest,
 * and stored anew. No password and no key: parity and digests are of what is stored. Any number of replicas may do it at
 * once; who loses a race changes nothing.
 */
import { decodeCore } from "../format/core.js";
import { FormatError } from "../format/errors.js";
import type { FileId } from "../format/id.js";
import { newFileId } from "../format/id.js";
import { dataChunkCount, shardBytes } from "../format/parity/code.js";
import { atOnce } from "./at-once.js";
import type { Auditor } from "./auditor.js";
import { eventOf } from "./auditor.js";
import type { Budget } from "./budget.js";
import type { ChunkHealth, DamagedFiles } from "./health-ports.js";
import { BucketError, VaultError } from "./errors.js";
import type { ChunkRecord, StoredFile } from "./model.js";
import { choose, mostPerBucket } from "./placement.js";
import type { FileStore, Log } from "./ports.js";
import { quorum } from "./quorum.js";
import type { Outcome, RelocateDeps } from "./relocate.js";
import { rehouseChunk } from "./relocate.js";
import type { ParityCoder } from "./sealing.js";
import { hasDigest, readWhole } from "./whole-object.js";

/** Rows of damaged chunks that are read at once. */
const PAGE = 256;
/** How often a chunk is placed anew when another chunk of its stripe has come to the same bucket meanwhile. */
const MAX_TRIES = 5;
/** Stripes that are repaired at once: most of the time of one goes by in waiting for buckets and the database. */
const STRIPES_AT_ONCE = 4;

export interface RepairDeps extends RelocateDeps {
  readonly coder: ParityCoder;
  readonly health: ChunkHealth;
  readonly files: Pick<FileStore, "find">;
  readonly audit: Pick<Auditor, "record">;
  /** Memory for rebuilding alone: whoever waits for it holds none of it. */
  readonly rebuildBudget: Budget;
  readonly log: Log;
}

/**
 * - `repaired`: it lies elsewhere, or another was faster
 * - `lost`: too few others of its stripe could be read
 * - `unplaced`: it was rebuilt, but no bucket took it
 */
export type Repair = "repaired" | "lost" | "unplaced";

export type Repaired = Record<Repair, number>;

export function noRepairs(): Repaired {
  return { repaired: 0, lost: 0, unplaced: 0 };
}

/** Repairs what is known of a file to be damaged, as far as the time allows, and settles its status by what is left. */
export async function repairFile(
  deps: RepairDeps,
  id: FileId,
  { until, signal }: { readonly until: number; readonly signal: AbortSignal },
): Promise<Repaired> {
  const counts = noRepairs();
  const file = await deps.files.find({ id });
  if (!file || file.status === "gone") return counts;
  await repairChunks(deps, file, damagedChunks(deps, id), {
    until,
    signal,
    onRepair: async repair => void counts[repair]++,
  });
  await settle(deps, id, counts);
  return counts;
}

/**
 * Repairs chunks of a file, which come in the order of their stripes, until the time is over. Those of one stripe one
 * after the other: each is to see where those before it have come to lie. Rejects as {@link repairChunk} does.
 */
export async function repairChunks<Row extends ChunkRecord>(
  deps: RepairDeps,
  file: StoredFile,
  rows: AsyncIterable<Row> | Iterable<Row>,
  options: {
    readonly until: number;
    readonly signal: AbortSignal;
    readonly onRepair: (repair: Repair, row: Row) => Promise<void>;
  },
): Promise<void> {
  const stripes = byStripe(rows);
  await atOnce(STRIPES_AT_ONCE, async () => {
    for await (const stripe of stripes) {
      for (const row of stripe) {
        await options.onRepair(await repairChunk(deps, file, row, options.signal), row);
        if (performance.now() >= options.until) return;
      }
    }
  });
}

async function* byStripe<Row extends ChunkRecord>(
  rows: AsyncIterable<Row> | Iterable<Row>,
): AsyncGenerator<Row[]> {
  let stripe: Row[] = [];
  for await (const row of rows) {
    if (stripe[0] && stripe[0].stripe !== row.stripe) {
      yield stripe;
      stripe = [];
    }
    stripe.push(row);
  }
  if (stripe.length > 0) yield stripe;
}

async function* damagedChunks({ health }: RepairDeps, id: FileId): AsyncGenerator<ChunkRecord> {
  for (let after = { stripe: -1, shard: -1 }; ; ) {
    const page = await health.damaged(id, after, PAGE);
    yield* page;
    const last = page.at(-1);
    if (!last) return;
    after = last;
  }
}

/** Sets the file's status by what is still bad, and tells of what was repaired. */
export async function settle(
  deps: RepairDeps,
  fileId: FileId,
  { repaired, lost, unplaced }: Repaired,
): Promise<void> {
  const status = await deps.health.settle(fileId);
  if (repaired + lost + unplaced === 0) return;
  deps.log.info("repaired", { fileId, status, repaired, lost, unplaced });
  if (repaired > 0) await deps.audit.record(eventOf({ action: "CHUNK_REPAIRED", caller: null, fileId }));
}

/**
 * Goes once through the files that are known to be damaged, as far as the time allows: from anywhere on, so that what
 * cannot be repaired never stands before what can.
 */
export async function repair(
  deps: RepairDeps & { readonly damagedFiles: DamagedFiles },
  options: {
    readonly timeMs: number;
    readonly signal: AbortSignal;
    readonly onFile?: (files: number) => void;
  },
): Promise<Repaired & { readonly files: number }> {
  const until = performance.now() + options.timeMs;
  const total = { files: 0, ...noRepairs() };
  for await (const id of fromAnywhere(deps.damagedFiles)) {
    const counts = await repairFile(deps, id, { until, signal: options.signal });
    for (const name of Object.keys(counts) as Repair[]) total[name] += counts[name];
    total.files++;
    options.onFile?.(total.files);
    if (performance.now() >= until) break;
  }
  return total;
}

async function* fromAnywhere(files: DamagedFiles): AsyncGenerator<FileId> {
  const start = newFileId();
  for (const [from, to] of [
    [start, null],
    [null, start],
  ] as const) {
    for (let after: FileId | null = from; ; ) {
      const [next]: readonly FileId[] = await files.damagedFiles(after, 1);
      if (next === undefined || (to !== null && next > to)) break;
      yield next;
      after = next;
    }
  }
}

/** Rebuilds one chunk of a finished file and stores it anew. Rejects only with the signal's reason, or when the database is away. */
export async function repairChunk(
  deps: RepairDeps,
  file: StoredFile,
  row: ChunkRecord,
  signal: AbortSignal,
): Promise<Repair> {
  const core = decodeCore(file.core);
  const bytes = shardBytes(core, core.plainBytes, file.parity, row.stripe);
  const needed = dataChunkCount(file.parity, bytes);
  // For as long as it takes to store it; the others of the stripe are in memory only while it is rebuilt.
  using _held = await deps.budget.acquire(row.storedBytes, signal);
  let rebuilt: Uint8Array | null = null;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const rows = await deps.chunkMap.chunks(file.id, row.stripe, row.stripe);
    if (!rows.some(({ objectKey }) => objectKey === row.objectKey)) return "repaired"; // by another, or gone
    const others = rows.filter(({ shard }) => shard !== row.shard);
    rebuilt ??= await rebuildChunk(deps, file, row, { bytes, needed, others }, signal);
    if (!rebuilt) return "lost";
    const outcome = await placeAnew(deps, file, row, others, rebuilt, signal);
    if (outcome !== "overtaken") return outcome === "moved" ? "repaired" : "unplaced";
  }
  return "unplaced";
}

/** By the rule for new chunks: its own bucket is as good as any, if that takes it. */
function placeAnew(
  deps: RepairDeps,
  { id, parity }: StoredFile,
  row: ChunkRecord,
  others: readonly ChunkRecord[],
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<Outcome> {
  const places = { profile: parity, bucketIds: others.map(({ bucketId }) => bucketId) };
  return rehouseChunk(deps, { ...row, fileId: id }, bytes, signal, {
    mostInBucket: mostPerBucket(parity),
    async target(failed) {
      const candidates = (await deps.buckets.candidates()).filter(bucket => !failed.has(bucket.id));
      return choose(candidates, places, deps.buckets.suspects, deps.random);
    },
  });
}

/** Null: too few of the others are there and right. */
async function rebuildChunk(
  deps: RepairDeps,
  file: StoredFile,
  row: ChunkRecord,
  stripe: {
    readonly bytes: readonly number[];
    readonly needed: number;
    readonly others: readonly ChunkRecord[];
  },
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  if (stripe.others.length < stripe.needed) return null;
  const chunkBytes = Math.max(...stripe.bytes);
  using _held = await deps.rebuildBudget.acquire(stripe.needed * chunkBytes, signal);
  const attempts = stripe.others.map(other => async (until: AbortSignal) => {
    return [other.shard, await readWhole(deps.buckets, other, until)] as const;
  });
  const lateMs = Math.max(...stripe.others.map(other => deps.buckets.latencies.lateMs(other.bucketId)));
  const where = { fileId: file.id, stripe: row.stripe, shard: row.shard };
  try {
    const present = new Map(await quorum(attempts, { needed: stripe.needed, lateMs, signal }));
    const read = { profile: file.parity, shardBytes: stripe.bytes, present };
    const [rebuilt] = await deps.coder.rebuild(read, [row.shard]);
    if (rebuilt && (await hasDigest(rebuilt, row.digest))) return rebuilt;
    deps.log.error("a chunk was rebuilt from right chunks, and is another", where);
  } catch (error) {
    signal.throwIfAborted();
    if (![BucketError, FormatError, VaultError].some(known => error instanceof known)) throw error;
    deps.log.warn("a chunk cannot be rebuilt", { ...where, reason: String(error) });
  }
  return null;
}
