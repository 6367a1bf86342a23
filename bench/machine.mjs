/** What it was measured on, in a few words: a number without its machine says nothing. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";

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

/** 4+2 chunks of parity, the database's log, and some room. */
const WRITTEN_PER_BYTE = 1.8;

/**
 * Before a measure that writes or reads `bytes`: waits until the disk has what others wrote, so that no measure pays for the
 * one before it, and touches as much page cache as it will need. In a virtual machine memory that was never touched, or
 * was given back to the host, costs more than the copy into it (here 2.4 s a GiB instead of 0.1), once and by chance.
 */
export function settle(folder, bytes) {
  ask("sync", ["-f", folder]);
  const touched = join(folder, "touched");
  ask("dd", [
    "if=/dev/zero",
    `of=${touched}`,
    "bs=1M",
    `count=${Math.ceil((WRITTEN_PER_BYTE * bytes) / 2 ** 20)}`,
    "status=none",
  ]);
  rmSync(touched);
}

function ask(command, args) {
  return execFileSync(command, args, { encoding: "utf8" }).trim();
}
