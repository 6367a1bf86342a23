import { setTimeout as sleep } from "node:timers/promises";

/** Resolves once it is so. Throws after `withinMs`, which is generous: what is waited for comes at once on an idle machine. */
export async function until(isSo: () => Promise<boolean> | boolean, withinMs = 60_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`in ${withinMs} ms it was never so: ${isSo}`);
    await sleep(20);
  }
}
