/** Commands that do once, now, what a replica does by itself in the background. */
import type { Progress } from "./cli/progress.js";
import { progressBar } from "./cli/progress.js";
import { withVault } from "./stores.js";
import type { Config } from "./config.js";
import { decodeCore } from "./format/core.js";
import { MapShape } from "./format/manifest-map.js";
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
  return withVault(config, vault => sweep(vault.sweepable));
}

/** Sets the bucket of this name draining and empties it. Throws NOT_FOUND, BUCKET_IN_USE. */
export function drainBucket(config: Config, name: string): Promise<Emptied & { bucket: string }> {
  return withProgress(config, `draining ${name}`, async (vault, show) => {
    const bucket = (await vault.steering.list()).find(known => known.name === name);
    if (!bucket) throw new VaultError("NOT_FOUND", `There is no bucket ${name}.`);
    if (bucket.state !== "disabled") await vault.steering.change(bucket.id, { state: "draining" });
    const deps = { ...vault.drainable, manifests: vault.manifests };
    const emptied = await empty(deps, bucket.id, { signal: UNENDING, onProgress: show });
    return { bucket: name, ...emptied };
  });
}

/** Reads everything once, as fast as it comes, and repairs what is bad: also what lies in buckets that do not answer. */
export function scrubAll(config: Config): Promise<Scrubbed & { files: number }> {
  return withProgress(config, "scrubbing", async (vault, show) => {
    const chunkCount = await chunkCountOf(vault);
    return scrub(vault.scrubbable, {
      timeMs: Number.POSITIVE_INFINITY,
      bytesPerSecond: Number.POSITIVE_INFINITY,
      signal: UNENDING,
      repairsUnreadable: true,
      isFromStart: true,
      onProgress: ({ checked }) => show(checked, chunkCount),
    });
  });
}

/** Repairs once what is known to be bad. */
export function repairAll(config: Config): Promise<Repaired & { files: number }> {
  return withProgress(config, "repairing", async (vault, show) => {
    const files = await vault.scrubbable.damagedFiles.damagedCount();
    return repair(vault.scrubbable, {
      timeMs: Number.POSITIVE_INFINITY,
      signal: UNENDING,
      onFile: done => show(done, files),
    });
  });
}

/** Reads one file whole and repairs what is bad of it. Throws INVALID_HASH, NOT_FOUND, FILE_GONE. */
export function verifyFile(config: Config, hash: string): Promise<Scrubbed & { status: string }> {
  return withProgress(config, "verifying", async (vault, show) => {
    const { core, parity } = await vault.files.require(hash);
    const { rowCount } = new MapShape(decodeCore(core), parity);
    const { file, scrubbed } = await vault.verifier.verify(hash, null, {
      signal: UNENDING,
      onProgress: ({ checked }) => show(checked, rowCount),
    });
    return { status: file.status, ...scrubbed };
  });
}

/** A signal to the process ends it; another run goes on. */
const UNENDING = new AbortController().signal;

/** Shows how far `act` is; what was counted before may have grown since. Then writes anew the manifests of what has changed. */
function withProgress<T>(
  config: Config,
  what: string,
  act: (vault: Vault, show: Progress["update"]) => Promise<T>,
): Promise<T> {
  return withVault(config, async vault => {
    const progress = progressBar(what);
    try {
      const result = await act(vault, (value, total) => progress.update(value, Math.max(value, total)));
      await vault.manifests.refreshChanged(UNENDING);
      return result;
    } finally {
      progress.stop();
    }
  });
}

/** Of all buckets. */
async function chunkCountOf({ bucketDirectory }: Vault): Promise<number> {
  const buckets = await bucketDirectory.list();
  const contents = await Promise.all(buckets.map(({ id }) => bucketDirectory.contents(id)));
  return contents.reduce((sum, { chunkCount }) => sum + chunkCount, 0);
}
