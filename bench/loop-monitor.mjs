/**
 * Loaded into the measured server before its own code (`--import`), so that the product has no code for it. On SIGUSR2
 * writes how late the event loop ran its timers since the last time, in milliseconds.
 */
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

const RESOLUTION_MS = 5;
const file = process.env["BENCH_LOOP_FILE"];

// Worker threads inherit --import; only the thread that answers requests is of interest.
if (isMainThread && file) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  // The histogram has the time from one timer to the next, so an idle loop shows the resolution itself.
  const late = nanoseconds => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  process.on("SIGUSR2", () => {
    const [p50, p99] = [50, 99].map(percent => late(histogram.percentile(percent)));
    const report = { p50, p99, max: late(histogram.max), count: histogram.count };
    histogram.reset();
    writeFileSync(`${file}.new`, JSON.stringify(report));
    renameSync(`${file}.new`, file);
  });
}
