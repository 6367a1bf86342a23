/** The reader that was written from docs/format.md alone, in another language. */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";

/** What it opens the vectors of a file to; null where it cannot run, which vectors.test.ts makes an error in CI. */
export function secondReading(path: string): Record<string, unknown>[] | null {
  const python = spawnSync("python3", ["-c", "import cryptography.hazmat.primitives.ciphers.aead"]);
  if (python.status !== 0) {
    console.warn("NOT RUN: it needs python3 with its cryptography package");
    return null;
  }
  const script = join(import.meta.dirname, "decrypt.py");
  const lines = execFileSync("python3", [script, path], { encoding: "utf8" }).trim().split("\n");
  return lines.map(line => JSON.parse(line) as Record<string, unknown>);
}
