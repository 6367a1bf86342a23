/** What a run measures, from the environment; the defaults are the numbers the project reports. */
import { tmpdir } from "node:os";

export const MIB = 1024 * 1024;

export const settings = {
  /** Size of the file. */
  bytes: whole("BENCH_MIB", 1024) * MIB,
  /** Size of each of the files that go in or out at once. */
  parallelBytes: whole("BENCH_PARALLEL_MIB", whole("BENCH_MIB", 1024)) * MIB,
  /** How many go in or out at once. */
  parallelCount: whole("BENCH_PARALLEL", 8),
  /** Size of the PATCHes where an upload over tus is not one PATCH. */
  tusPatchBytes: 8 * MIB,
  /** Size of each of the files that go in over tus at once, and how many do. */
  tusParallelBytes: whole("BENCH_TUS_PARALLEL_MIB", 64) * MIB,
  tusParallelCount: 32,
  /** How often each thing is measured. */
  rounds: whole("BENCH_ROUNDS", 3),
  /** Where the data lies: the disk that is measured. */
  folder: process.env["BENCH_DIR"] ?? tmpdir(),
};

function whole(name, fallback) {
  const text = process.env[name] ?? String(fallback);
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`${name} must be a whole number from 1, not ${text}`);
  return value;
}
