/**
 * Moving one stored object from its bucket to another that holds none of its stripe: read and checked, put under a new
 * key, then the row is swapped. A crash at any point leaves the old object named and the new one pending; no key needed.
 *
 *     reserve ── put ── swap: row names the new one, the old one is dead ── … the sweep deletes the old one
 */
import type { Budget } from "./budget.js";
import type { BucketSet } from "./bucket-set.js";
import type { BucketId, ObjectRef } from "./model.js";
import type { ChunkPlace, Move, Moves, PlacedChunk, PlacedTail } from "./moves.js";
import type { Random } from "./placement.js";
import { placeElsewhere } from "./placement.js";
import type { ChunkMap, DamageReports } from "./ports.js";
import { newObjectKey } from "./scatter.js";
import { hasDigest, readObject } from "./whole-object.js";

/** How long a new object is held for its move, by the database's clock. */
const HOLD_SECONDS = 900;
/** A put is given up after this long: well before its hold is over, so that no swept object is ever put. */
const PUT_TIMEOUT_MS = 300_000;
/** How many other buckets an object tries after the first has failed. */
const MAX_DETOURS = 3;
/** What a tail's object has beside its plain bytes, at most: a header, and 32 bytes for each segment. */
const TAIL_OVERHEAD_BYTES = 64 * 1024;

export interface RelocateDeps {
  readonly buckets: BucketSet;
  readonly chunkMap: ChunkMap;
  readonly moves: Moves;
  readonly damage: DamageReports;
  readonly budget: Budget;
  readonly random: Random;
  /** How long a moved object's old bytes are kept: longer than any get that has read its row takes. */
  readonly keepSeconds: number;
  /** How long nobody may have written to an upload before its writer is taken for dead. */
  readonly idleSeconds: number;
}

/**
 * - `moved`: it lies elsewhere, and the old object is dead
 * - `missing`, `corrupt`: the object is not there, or has another digest; its row says so from now on, and stays
 * - `unreadable`: its bucket did not answer
 * - `unplaced`: there is no bucket that holds nothing of its stripe and takes it
 * - `overtaken`: meanwhile it was moved or deleted, or another came to the same bucket
 */
export type Outcome = "moved" | "missing" | "corrupt" | "unreadable" | "unplaced" | "overtaken";

/** Moves a chunk. Rejects only with the signal's reason, or when the database is away. */
export async function relocateChunk(
  deps: RelocateDeps,
  chunk: PlacedChunk,
  signal: AbortSignal,
): Promise<Outcome> {
  const holding = await bucketsOfStripe(deps, chunk);
  if (holding === null) return "overtaken";
  if ((await elsewhere(deps, holding)(new Set())) === undefined) return "unplaced"; // before anything is read
  using _held = await deps.budget.acquire(chunk.storedBytes, signal);
  const read = await readChunk(deps, chunk, signal);
  if (typeof read === "string") return read;
  const target = elsewhere(deps, holding);
  return await rehouseChunk(deps, chunk, read, signal, { mostInBucket: 1, target }); // with the memory held
}

/** Where a chunk may go that leaves its bucket: undefined where there is none but those that failed. */
type Target = (failed: ReadonlySet<BucketId>) => Promise<BucketId | undefined>;

/** Stores `bytes`, which have the chunk's digest, where `target` says, and lets the row name them. */
export function rehouseChunk(
  deps: RelocateDeps,
  chunk: PlacedChunk,
  bytes: Uint8Array,
  signal: AbortSignal,
  { mostInBucket, target }: { readonly mostInBucket: number; readonly target: Target },
): Promise<Outcome> {
  const swap = (to: ObjectRef) => deps.moves.swapChunk({ ...moveOf(deps, chunk, to), mostInBucket });
  return store(deps, target, bytes, signal, swap, chunk);
}

/** The chunk's object, checked. What is missing or corrupt is noted as damage. */
export async function readChunk(
  deps: Pick<RelocateDeps, "buckets" | "damage">,
  chunk: PlacedChunk,
  signal: AbortSignal,
): Promise<Uint8Array | "missing" | "corrupt" | "unreadable"> {
  const bytes = await readObject(deps, chunk, signal);
  if (bytes === "unreadable") return bytes;
  if (bytes !== null && (await hasDigest(bytes, chunk.digest))) return bytes;
  const state = bytes === null ? "missing" : "corrupt";
  await deps.damage.report(chunk.fileId, [{ chunk, state }]);
  return state;
}

/** Moves a tail. It has no digest: the next append, which alone has the key, authenticates it. */
export async function relocateTail(
  deps: RelocateDeps,
  tail: PlacedTail,
  signal: AbortSignal,
): Promise<Outcome> {
  using _held = await deps.budget.acquire(tail.plainBytes + TAIL_OVERHEAD_BYTES, signal);
  const bytes = await readObject(deps, tail, signal);
  if (bytes === "unreadable") return bytes;
  if (bytes === null) return "missing";
  const target = elsewhere(deps, new Set([tail.bucketId]));
  return await store(deps, target, bytes, signal, to => deps.moves.swapTail(moveOf(deps, tail, to)));
}

function moveOf<Placed extends ObjectRef>(
  { keepSeconds, idleSeconds }: RelocateDeps,
  from: Placed,
  to: ObjectRef,
): Move<Placed> {
  return { from, to, keepSeconds, idleSeconds };
}

async function store(
  deps: RelocateDeps,
  target: Target,
  bytes: Uint8Array,
  signal: AbortSignal,
  swap: (to: ObjectRef) => Promise<boolean>,
  chunk?: ChunkPlace,
): Promise<Outcome> {
  const failed = new Set<BucketId>();
  for (let detours = 0; detours <= MAX_DETOURS; detours++) {
    const bucketId = await target(failed);
    if (bucketId === undefined) return "unplaced";
    const to = { bucketId, objectKey: newObjectKey() };
    await deps.moves.reserve(to, HOLD_SECONDS, chunk);
    try {
      const until = AbortSignal.any([signal, AbortSignal.timeout(PUT_TIMEOUT_MS)]);
      await deps.buckets.port(bucketId).put(to.objectKey, bytes, until);
    } catch (error) {
      signal.throwIfAborted();
      deps.buckets.suspect(bucketId, error);
      failed.add(bucketId);
      continue;
    }
    return (await swap(to)) ? "moved" : "overtaken";
  }
  return "unplaced";
}

/** A bucket that holds nothing of the stripe. */
function elsewhere({ buckets, random }: RelocateDeps, holding: ReadonlySet<BucketId>): Target {
  return async failed =>
    placeElsewhere(await buckets.candidates(), { holding, failed }, buckets.suspects, random);
}

/** Where the stripe's chunks lie, this one among them; null: the row names another object by now, or is gone. */
async function bucketsOfStripe(deps: RelocateDeps, chunk: PlacedChunk): Promise<Set<BucketId> | null> {
  const rows = await deps.chunkMap.chunks(chunk.fileId, chunk.stripe, chunk.stripe);
  if (!rows.some(row => row.objectKey === chunk.objectKey)) return null;
  return new Set(rows.map(row => row.bucketId));
}
