/** Emptying one bucket to the end, for who waits for it: the rounds of drain.ts until nothing needs the bucket any more. */
import { setTimeout as sleep } from "node:timers/promises";
import { isInUse } from "./buckets.js";
import type { Drained, DrainDeps } from "./drain.js";
import { drain, nothing } from "./drain.js";
import type { Manifests } from "./manifests.js";
import type { BucketId } from "./model.js";
import type { BucketContents } from "./ports.js";

/** Between two rounds when only writers that may still be alive keep the bucket from being empty. */
const PAUSE_MS = 5_000;

export interface EmptyDeps extends DrainDeps {
  /** They leave the bucket as they are written anew; what has another's `MAP_KEY` is left to the servers, which have it. */
  readonly manifests: Pick<Manifests, "refreshOwn">;
}

export interface Emptied extends Drained, BucketContents {
  readonly isEmpty: boolean;
}

interface EmptyOptions {
  readonly signal: AbortSignal;
  /** Chunks moved here so far, and those that lay there at the beginning. */
  readonly onProgress: (moved: number, chunkCount: number) => void;
}

/** Ends when the bucket is empty, or when a round has moved nothing and what is left cannot be moved. */
export async function empty(deps: EmptyDeps, bucketId: BucketId, options: EmptyOptions): Promise<Emptied> {
  const { signal, onProgress } = options;
  const { chunkCount } = await deps.directory.contents(bucketId);
  const total = nothing();
  for (;;) {
    const before = total.moved;
    const onMoved = ({ moved }: Readonly<Drained>) => onProgress(before + moved, chunkCount);
    const round = await drain(deps, { timeMs: Number.POSITIVE_INFINITY, signal, bucketId, onMoved });
    const { written, failed } = await deps.manifests.refreshOwn(signal);
    for (const name of Object.keys(total) as (keyof Drained)[]) total[name] += round[name];
    const contents = await deps.directory.contents(bucketId);
    const isEmpty = !isInUse(contents);
    const isStuck = round.missing + round.corrupt + round.unreadable + round.unplaced + failed > 0;
    const isIdle = round.moved + written === 0;
    if (isEmpty || (isStuck && isIdle)) return { isEmpty, ...total, ...contents };
    if (!isIdle) continue;
    if (contents.manifestCount > 0)
      deps.log.warn("manifests under another MAP_KEY lie in the bucket: the servers move them", {
        manifests: contents.manifestCount,
      });
    await sleep(PAUSE_MS, undefined, { signal });
  }
}
