/** Commands that do once, now, what a replica does by itself in the background. */
import { sweepDeps } from "./background.js";
import { progressBar } from "./cli/progress.js";
import { withVault } from "./compose.js";
import type { Config } from "./config.js";
import type { StoredFile } from "./core/model.js";
import { decodeCore } from "./format/core.js";
import type { Vault } from "./vault.js";
import type { Emptied } from "./core/empty.js";
import { empty } from "./core/empty.js";
import { VaultError } from "./core/errors.js";
import type { Repaired } from "./core/repair.js";
import { repair } from "./core/repair.js";
import type { Scrubbed } from "./core/scrub.js";
import { scrub } from "./core/scrub.js";
import type { Swept } from "./core/sweep.js";
import { sweep } from "./core/sweep.js";

export function sweepOnce(config: Config): Promise<Swept> {
  return withVault(config, (vault, log) => sweep(sweepDeps(vault, config, log)));
}

/** Sets the bucket of this name draining and empties it. Throws NOT_FOUND, BUCKET_IN_USE. */
export function drainBucket(config: Config, name: string): Promise<Emptied & { bucket: string }> {
  return withVault(config, async vault => {
    const bucket = (await vault.steering.list()).find(known => known.name === name);
    if (!bucket) throw new VaultError("NOT_FOUND", `There is no bucket ${name}.`);
    if (bucket.state !== "disabled") await vault.steering.change(bucket.id, { state: "draining" });
    const progress = progressBar(`draining ${name}`);
    try {
      const { signal } = new AbortController(); // a signal to the process ends it; another run goes on
      const emptied = await empty({ ...vault.drainable, manifests: vault.manifests }, bucket.id, {
        signal,
        onProgress: (moved, chunkCount) => progress.update(moved, Math.max(moved, chunkCount)),
      });
      return { bucket: name, ...emptied };
    } finally {
      progress.stop();
    }
  });
}

/** Reads everything once, as fast as it comes, and repairs what is bad: also what lies in buckets that do not answer. */
export function scrubAll(config: Config): Promise<Scrubbed & { files: number }> {
  return withVault(config, async vault => {
    const progress = progressBar("scrubbing");
    const { chunkCount } = await totals(vault);
    try {
      return await scrub(vault.scrubbable, {
        timeMs: Number.POSITIVE_INFINITY,
        bytesPerSecond: Number.POSITIVE_INFINITY,
        signal: new AbortController().signal,
        repairsUnreadable: true,
        isFromStart: true,
        onProgress: ({ checked }) => progress.update(checked, Math.max(checked, chunkCount)),
      });
    } finally {
      progress.stop();
    }
  });
}

/** Repairs once what is known to be bad. */
export function repairAll(config: Config): Promise<Repaired & { files: number }> {
  return withVault(config, async vault => {
    const progress = progressBar("repairing");
    const files = await vault.scrubbable.damagedFiles.damagedCount();
    try {
      return await repair(vault.scrubbable, {
        timeMs: Number.POSITIVE_INFINITY,
        signal: new AbortController().signal,
        onFile: done => progress.update(done, Math.max(done, files)),
      });
    } finally {
      progress.stop();
    }
  });
}

/** Reads one file whole and repairs what is bad of it. Throws INVALID_HASH, NOT_FOUND, FILE_GONE. */
export function verifyFile(config: Config, hash: string): Promise<Scrubbed & { status: string }> {
  return withVault(config, async vault => {
    const progress = progressBar("verifying");
    const chunkCount = chunkCountOf(await vault.files.require(hash));
    try {
      const { file, scrubbed } = await vault.verifier.verify(hash, null, {
        signal: new AbortController().signal,
        onProgress: ({ checked }) => progress.update(checked, Math.max(checked, chunkCount)),
      });
      return { status: file.status, ...scrubbed };
    } finally {
      progress.stop();
    }
  });
}

/** Of all buckets. */
async function totals(vault: Vault): Promise<{ chunkCount: number }> {
  const buckets = await vault.bucketDirectory.list();
  const contents = await Promise.all(buckets.map(({ id }) => vault.bucketDirectory.contents(id)));
  return { chunkCount: contents.reduce((sum, { chunkCount }) => sum + chunkCount, 0) };
}

/** Parity included. */
function chunkCountOf({ core, parity }: StoredFile): number {
  const { chunkCount } = decodeCore(core);
  return chunkCount + Math.ceil(chunkCount / parity.dataChunks) * parity.parityChunks;
}
