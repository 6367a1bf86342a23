/** What it was measured on, in a few words: a number without its machine says nothing. */
import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";

export function machineFacts(folder) {
  const [source, type, free] = ask("df", ["-B1", "--output=source,fstype,avail", folder])
    .split("\n")[1]
    .trim()
    .split(/\s+/);
  return {
    text: [
      `${cpus()[0]?.model.trim() ?? "unknown CPU"}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
      `node ${process.version}, ${ask("uname", ["-sr"])}, load before the run ${loadavg()[0].toFixed(2)}`,
      `${folder} on ${source} (${type})`,
    ],
    freeBytes: Number(free),
  };
}

/** Waits until the disk has what others wrote, so that no measure pays for the one before it. */
export function settle(folder) {
  ask("sync", ["-f", folder]);
}

function ask(command, args) {
  return execFileSync(command, args, { encoding: "utf8" }).trim();
}
