/**
 * Reading everything again, at a set rate and without a password: each object against its digest. What is missing or
 * corrupt is rebuilt at once; chunks of a stripe that had to share a bucket are moved apart as soon as there are buckets
 * enough.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { decodeCore } from "../format/core.js";
import { eachAtOnce } from "./at-once.js";
import type { DamagedFiles, ScrubPlaces } from "./health-ports.js";
import type { Manifests } from "./manifests.js";
import type { BucketId, StoredFile } from "./model.js";
import type { PlacedChunk } from "./moves.js";
import type { RepairDeps, Repaired } from "./repair.js";
import { noRepairs, repairChunks, settle } from "./repair.js";
import { readChunk, relocateChunk } from "./relocate.js";

/** Chunks that are read at once; each is in memory whole, out of the process's budget. */
const READS_AT_ONCE = 4;
/** Stripes that are read before the time is looked at again: of so many stored bytes, but one at least. */
const PAGE_BYTES = 32 * 1024 * 1024;
const MAX_STRIPES_PER_PAGE = 256;

export interface ScrubDeps extends RepairDeps {
  readonly places: ScrubPlaces;
  readonly damagedFiles: DamagedFiles;
  readonly manifests: Pick<Manifests, "scrub">;
}

type State = "right" | "missing" | "corrupt" | "unreadable";

/** What was read and what came of it. */
export interface Scrubbed extends Repaired {
  /** Chunks read, or tried to. */
  checked: number;
  checkedBytes: number;
  /** Missing, corrupt, or in a bucket that does not answer. */
  bad: number;
  /** Moved to a bucket that holds nothing of their stripe. */
  spread: number;
}

interface ScrubOptions {
  readonly signal: AbortSignal;
  readonly bytesPerSecond: number;
  /** Whether chunks in buckets that do not answer are rebuilt elsewhere: a bucket that is away for an hour would cost all of it. */
  readonly repairsUnreadable: boolean;
  readonly onProgress?: (scrubbed: Readonly<Scrubbed>) => void;
}

export function nothingScrubbed(): Scrubbed {
  return { checked: 0, checkedBytes: 0, bad: 0, spread: 0, ...noRepairs() };
}

/**
 * Scrubs the files in turn, the one that has waited longest first, as far as the time allows; goes on where it stopped,
 * unless each file is to be read `isFromStart`.
 */
export async function scrub(
  deps: ScrubDeps,
  options: ScrubOptions & { readonly timeMs: number; readonly isFromStart?: boolean },
): Promise<Scrubbed & { files: number }> {
  const until = performance.now() + options.timeMs;
  const total = { ...nothingScrubbed(), files: 0 };
  for (const seen = new Set<string>(); performance.now() < until; ) {
    const place = await deps.places.next();
    if (!place || seen.has(place.fileId)) break; // once round
    const file = await deps.files.find({ id: place.fileId });
    const next =
      file &&
      (await scrubFile(deps, file, options.isFromStart ? 0 : place.stripe, { ...options, until }, total));
    await deps.places.reached(place.fileId, next);
    if (next !== null) break; // the time is over
    seen.add(place.fileId);
    total.files++;
  }
  if (total.bad + total.spread > 0) deps.log.info("scrubbed", { ...total });
  return total;
}

/**
 * Scrubs a file from a stripe on, adds what was found to `total`, and settles the file's status. Returns the stripe to go
 * on with when the time is over, or null at the end.
 */
export async function scrubFile(
  deps: ScrubDeps,
  file: StoredFile,
  fromStripe: number,
  options: ScrubOptions & { readonly until: number },
  total: Scrubbed,
): Promise<number | null> {
  if (file.status === "gone") return null;
  const before = { ...total };
  let next: number | null = fromStripe;
  do next = await scrubPage(deps, file, next, options, total);
  while (next !== null && performance.now() < options.until);
  const { signal, repairsUnreadable: countsUnreadable } = options;
  if (next === null) await deps.manifests.scrub(file.id, { signal, countsUnreadable });
  if (file.status === "available" && total.bad === before.bad) return next;
  await settle(deps, file.id, {
    repaired: total.repaired - before.repaired,
    lost: total.lost - before.lost,
    unplaced: total.unplaced - before.unplaced,
  });
  return next;
}

/** Returns the stripe after the page, or null where the file ends. */
async function scrubPage(
  deps: ScrubDeps,
  file: StoredFile,
  fromStripe: number,
  options: ScrubOptions & { readonly until: number },
  total: Scrubbed,
): Promise<number | null> {
  const began = performance.now();
  const toStripe = fromStripe + stripesPerPage(file) - 1;
  const rows = await deps.chunkMap.chunks(file.id, fromStripe, toStripe);
  if (rows.length === 0) return null;
  const right: PlacedChunk[] = [];
  const bad: (PlacedChunk & { found: State })[] = [];
  const placed = rows.map(row => ({ ...row, fileId: file.id }));
  const read = eachAtOnce(READS_AT_ONCE, placed, async chunk => {
    const state = await stateOf(deps, chunk, options.signal);
    total.checked++;
    total.checkedBytes += chunk.storedBytes;
    options.onProgress?.(total);
    if (state === "right") right.push(chunk);
    else total.bad++;
    if (state === "missing" || state === "corrupt" || (state === "unreadable" && options.repairsUnreadable))
      bad.push({ ...chunk, found: state });
  });
  await read.finally(() => deps.health.verified(file.id, right));
  bad.sort((a, b) => a.stripe - b.stripe || a.shard - b.shard);
  await repairChunks(deps, file, bad, {
    until: Infinity, // what was found bad is repaired, however long that takes
    signal: options.signal,
    async onRepair(repair, chunk) {
      total[repair]++;
      // Who repairs what does not answer wants to be told of it, until it is read again and found right.
      if (repair !== "repaired" && chunk.found === "unreadable")
        await deps.damage.report(file.id, [{ chunk, state: "missing" }]);
    },
  });
  for (const chunk of crowded(right)) {
    if ((await relocateChunk(deps, chunk, options.signal)) === "moved") total.spread++;
  }
  const bytes = rows.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const earliest = Math.min(began + (bytes / options.bytesPerSecond) * 1000, options.until);
  await sleep(Math.max(0, earliest - performance.now()), undefined, { signal: options.signal });
  return toStripe + 1;
}

async function stateOf(deps: ScrubDeps, chunk: PlacedChunk, signal: AbortSignal): Promise<State> {
  using _held = await deps.budget.acquire(chunk.storedBytes, signal);
  const read = await readChunk(deps, chunk, signal);
  return typeof read === "string" ? read : "right";
}

function stripesPerPage({ core, parity }: StoredFile): number {
  const stripeBytes = (parity.dataChunks + parity.parityChunks) * decodeCore(core).chunkBytes;
  return Math.min(MAX_STRIPES_PER_PAGE, Math.max(1, Math.floor(PAGE_BYTES / stripeBytes)));
}

/** Of the chunks of a stripe that lie in one bucket, all but one. */
function crowded(chunks: readonly PlacedChunk[]): PlacedChunk[] {
  const holding = new Map<number, Set<BucketId>>();
  return chunks.filter(({ stripe, bucketId }) => {
    const buckets = holding.get(stripe) ?? new Set();
    holding.set(stripe, buckets);
    if (buckets.has(bucketId)) return true;
    buckets.add(bucketId);
    return false;
  });
}
