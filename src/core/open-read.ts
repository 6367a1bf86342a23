/**
 * The plaintext of one read of a body, whatever has become of the object that holds it. Its own object is asked first; when that
 * is missing, wrong or later than its bucket usually is, the same bytes are rebuilt from the stripe's other chunks, and
 * whichever opens first is given out. Nothing is given out that does not open: wrong bytes from one place are never
 * more than a reason to try the next.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { FormatError } from "../format/errors.js";
import type { SegmentRead } from "../format/layout.js";
import { dataChunkCount, shardBytes } from "../format/parity/code.js";
import type { StripeRead } from "../format/parity/rebuild.js";
import type { Body } from "./body.js";
import type { Budget } from "./budget.js";
import type { BucketSet } from "./bucket-set.js";
import type { ChunkRows } from "./chunk-rows.js";
import { BucketError, VaultError } from "./errors.js";
import type { DamageNotes, DamageNotesDeps } from "./damage-notes.js";
import type { ChunkRecord } from "./model.js";
import type { Damage } from "./ports.js";
import type { ParityCoder, Sealer } from "./sealing.js";
import { quorum } from "./quorum.js";
import { slotOf } from "./slot.js";

/** Sets of chunks that are tried, at most, when some of those that came are silently wrong. */
const MAX_SETS = 64;

/** What reading needs of the buckets: a recovery without a database has this too (recover.ts). */
export type ReadableBuckets = Pick<BucketSet, "port" | "suspects" | "latencies">;

export interface OpenReadDeps extends DamageNotesDeps {
  readonly buckets: ReadableBuckets;
  readonly sealer: Sealer & ParityCoder;
  /** Memory for rebuilding alone: whoever waits for it holds none of it. */
  readonly rebuildBudget: Budget;
}

/** What is read, and what was found out about it by earlier reads. */
export interface Reading {
  readonly body: Body;
  readonly rows: ChunkRows;
  readonly notes: DamageNotes;
}

/** Throws the error of the chunk's own object when the read cannot be rebuilt either. */
export async function openRead(
  deps: OpenReadDeps,
  reading: Reading,
  read: SegmentRead,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { body, rows, notes } = reading;
  const row = await rows.of(read.chunkIndex);
  if (body.parity.parityChunks === 0) return openOwn(deps, reading, read, signal);

  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  let isOpen = false;
  const own = openOwn(deps, reading, read, until).then(opened => {
    isOpen = true;
    return opened;
  });
  const lateMs = deps.buckets.latencies.lateMs(row.bucketId);
  const ownFailure = own.then(
    () => null,
    (error: unknown) => error,
  );
  const failure = await Promise.race([ownFailure, sleep(lateMs, LATE, { signal: until }).catch(() => LATE)]);
  try {
    if (isOpen) return await own;
    signal.throwIfAborted();
    if (failure === LATE && lateMs > 0) deps.buckets.latencies.addLate(row.bucketId);
    const rebuilt = openRebuilt(deps, reading, read, until);
    const opened = await Promise.any([own, rebuilt]);
    const damage = damageOf(failure);
    if (damage) await notes.add(row, damage);
    return opened;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AggregateError)) throw error;
    deps.log.warn("a chunk could not be rebuilt", { fileId: body.fileId, reason: String(error.errors[1]) });
    throw error.errors[0];
  } finally {
    stop.abort();
  }
}

const LATE = Symbol("late");

/**
 * From the chunk's own object. It may have been moved to another bucket after its row was read (core/relocate.ts): where it cannot be
 * had, the row is read again, and what it says now decides: once, for a second move takes longer than one read.
 */
async function openOwn(
  deps: OpenReadDeps,
  { body, rows }: Reading,
  read: SegmentRead,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const row = await rows.of(read.chunkIndex);
  try {
    return await open(deps, body, read, await fetchColumns(deps.buckets, row, read, signal));
  } catch (error) {
    signal.throwIfAborted();
    // A moved object is missing where it was; a bucket that does not answer says nothing of where its objects are.
    if (error instanceof BucketError && !(error instanceof MissingObject)) throw error;
    // Where rebuilding is the other way, a query for each chunk of a lost bucket would make it wait for the database.
    if (body.parity.parityChunks > 0 && rows.areFresh) throw error;
    const now = await rows.again(read.chunkIndex);
    if (now.objectKey === row.objectKey) throw error; // a key is never used twice: it has not moved
    return open(deps, body, read, await fetchColumns(deps.buckets, now, read, signal));
  }
}

async function openRebuilt(
  deps: OpenReadDeps,
  { body, rows, notes }: Reading,
  read: SegmentRead,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { stripe, shard: missing } = slotOf(read.chunkIndex, body.parity);
  const bytes = shardBytes(body.layout, body.plainBytes, body.parity, stripe);
  const needed = dataChunkCount(body.parity, bytes);
  const others = [...(await rows.stripe(stripe)).values()].filter(({ shard }) => shard !== missing);
  const { suspects, latencies } = deps.buckets;
  const isLastResort = ({ bucketId }: ChunkRecord) =>
    suspects.has(bucketId) || notes.lacking.has(bucketId) || latencies.lateMs(bucketId) === 0;
  others.sort((a, b) => Number(isLastResort(a)) - Number(isLastResort(b)));
  const columns = { start: read.firstByte, end: read.lastByte + 1 };
  using _held = await deps.rebuildBudget.acquire((needed + 1) * (columns.end - columns.start), signal);

  const attempts = others.map(row => async (until: AbortSignal) => {
    const stored = await fetchColumns(deps.buckets, row, read, until);
    return [row.shard, stored] as const;
  });
  const openFrom = async (shards: readonly (readonly [number, Uint8Array])[]) => {
    const stripeRead: StripeRead = { profile: body.parity, shardBytes: bytes, present: new Map(shards) };
    const [rebuilt] = await deps.sealer.rebuild(stripeRead, [missing], columns);
    if (!rebuilt) throw new VaultError("INTERNAL", "nothing was rebuilt");
    return open(deps, body, read, rebuilt);
  };
  const lateMs = Math.max(0, ...others.slice(0, needed).map(row => latencies.lateMs(row.bucketId)));
  try {
    return await openFrom(await quorum(attempts, { needed, lateMs, signal }));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  // One of them is wrong, and nothing says which: the set that opens is right.
  const came = await Promise.allSettled(attempts.map(attempt => attempt(signal)));
  const shards = came.flatMap(one => (one.status === "fulfilled" ? [one.value] : []));
  let left = MAX_SETS;
  for (const set of subsets(shards, needed)) {
    if (left-- === 0) break;
    try {
      return await openFrom(set.map(([shard, stored]) => [shard, stored.slice()])); // its memory is given away
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
  throw new FormatError(`chunk ${read.chunkIndex}: no ${needed} of the stripe's other chunks give it back`);
}

/** Bytes of the read's columns that one chunk of its stripe has; a shorter chunk has fewer, or none. */
async function fetchColumns(
  buckets: ReadableBuckets,
  row: ChunkRecord,
  read: SegmentRead,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const last = Math.min(read.lastByte, row.storedBytes - 1);
  if (last < read.firstByte) return new Uint8Array();
  const isWhole = read.firstByte === 0 && last === row.storedBytes - 1;
  const range = isWhole ? undefined : { first: read.firstByte, last };
  const began = performance.now();
  const stored = await buckets.port(row.bucketId).get(row.objectKey, range, signal);
  buckets.latencies.add(row.bucketId, performance.now() - began);
  if (!stored) throw new MissingObject(`object ${row.objectKey} is missing`);
  // Segments authenticate what they hold and where they are, not how many were asked for: an object cut at a segment's
  // border would otherwise leave a gap in the middle of the file (docs/format.md §9).
  const wanted = last - read.firstByte + 1;
  if (stored.length === wanted) return stored;
  throw new FormatError(`${stored.length} bytes of ${wanted}: the object was cut`);
}

/** There is no such object, and its bucket is well: it will not come back by itself. */
class MissingObject extends BucketError {
  constructor(message: string) {
    super("unavailable", message);
  }
}

function open(deps: OpenReadDeps, body: Body, read: SegmentRead, stored: Uint8Array): Promise<Uint8Array> {
  return deps.sealer.open(body.message, read.position, stored, read.isLast);
}

/** What is missing or wrong for good is for repair to know; what may come back by itself, or is only late, is not. */
function damageOf(failure: unknown): Damage["state"] | null {
  if (failure instanceof FormatError) return "corrupt";
  return failure instanceof MissingObject ? "missing" : null;
}

/** All choices of `count` of `items`. */
function* subsets<T>(items: readonly T[], count: number): Generator<T[]> {
  if (count === 0) yield [];
  else
    for (const [at, item] of items.entries())
      for (const rest of subsets(items.slice(at + 1), count - 1)) yield [item, ...rest];
}
