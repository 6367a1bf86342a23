/** A bar on standard error, where somebody looks at it; else nothing. */
import { SingleBar } from "cli-progress";

export interface Progress {
  update(value: number, total: number): void;
  stop(): void;
}

export function progressBar(what: string): Progress {
  const bar = new SingleBar({
    format: `${what} {bar} {value}/{total} ETA {eta_formatted}`,
    stream: process.stderr,
    noTTYOutput: false,
    hideCursor: true,
  });
  let isStarted = false;
  return {
    update(value, total) {
      if (!process.stderr.isTTY) return;
      if (!isStarted) bar.start(total, value);
      else bar.update(value);
      if (isStarted && bar.getTotal() !== total) bar.setTotal(total);
      isStarted = true;
    },
    stop() {
      if (isStarted) bar.stop();
    },
  };
}
