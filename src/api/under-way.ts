/**
 * Work on requests that must be brought to its end even when their connections are cut: keeping the tail of an upload, or
 * abandoning it. The drain waits for it before the database is closed.
 */
const underWay = new WeakMap<object, Set<Promise<unknown>>>();

/** Notes `work` until it has settled, and gives it back. `owner` is the doors' dependencies: one of them a service. */
export function track<T>(owner: object, work: Promise<T>): Promise<T> {
  const all = underWay.get(owner) ?? new Set();
  underWay.set(owner, all);
  all.add(work);
  return work.finally(() => all.delete(work));
}

/** Resolves when all that is noted has settled. */
export async function settled(owner: object): Promise<void> {
  for (let all = underWay.get(owner); all && all.size > 0; all = underWay.get(owner))
    await Promise.allSettled(all);
}
