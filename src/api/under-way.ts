/**
 * Work on requests that must be brought to its end even when their connections are cut: keeping the tail of an upload, or
 * abandoning it. The drain waits for it before the database is closed.
 */
import { setTimeout as sleep } from "node:timers/promises";

/** Longer than keeping a tail takes while the buckets are well. */
const SETTLE_WITHIN_MS = 3_000;

const underWay = new WeakMap<object, Set<Promise<unknown>>>();

/** Notes `work` until it has settled, and gives it back. `owner` is the doors' dependencies: one of them a service. */
export function track<T>(owner: object, work: Promise<T>): Promise<T> {
  const all = underWay.get(owner) ?? new Set();
  underWay.set(owner, all);
  all.add(work);
  return work.finally(() => all.delete(work));
}

/** Resolves when all that is noted has settled, or after a while: an answer to a client that is gone may never be. */
export async function settled(owner: object): Promise<void> {
  const all = Promise.allSettled(underWay.get(owner) ?? []);
  await Promise.race([all, sleep(SETTLE_WITHIN_MS, undefined, { ref: false })]);
}
