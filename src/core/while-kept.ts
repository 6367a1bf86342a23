/**
 * Runs `work`, and calls `keep` every so many milliseconds until it ends: whatever takes long must not expire meanwhile, nor
 * be taken for dead. A call that fails is left to the next.
 */
export async function whileKept<T>(
  keep: () => Promise<void>,
  everyMs: number,
  work: () => Promise<T>,
): Promise<T> {
  let beat: Promise<void> | null = null;
  const timer = setInterval(() => {
    beat ??= keep()
      .catch(() => {})
      .finally(() => {
        beat = null;
      });
  }, everyMs).unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await beat;
  }
}

/** Often enough for what lives an hour at least (UPLOAD_TTL_HOURS), in milliseconds. */
export const KEEP_EVERY_MS = 600_000;
