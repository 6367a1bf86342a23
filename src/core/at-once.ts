/** The same loop several times at once, over what they share. */

/** Runs `work` `count` times at once. Rejects with the first failure, once all have ended: none is left running behind it. */
export async function atOnce(count: number, work: () => Promise<void>): Promise<void> {
  const ended = await Promise.allSettled(Array.from({ length: count }, work));
  const failed = ended.find(result => result.status === "rejected");
  if (failed) throw failed.reason;
}
