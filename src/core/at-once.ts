/** The same loop several times at once, over what they share. */

/** Runs `work` `count` times at once. Rejects with the first failure, once all have ended: none is left running behind it. */
export async function atOnce(count: number, work: () => Promise<void>): Promise<void> {
  const ended = await Promise.allSettled(Array.from({ length: count }, work));
  const failed = ended.find(result => result.status === "rejected");
  if (failed) throw failed.reason;
}

/** The same for each of `items`, `count` of them at a time. */
export async function eachAtOnce<T>(
  count: number,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const waiting = items.values();
  await atOnce(count, async () => {
    for (const item of waiting) await work(item);
  });
}
