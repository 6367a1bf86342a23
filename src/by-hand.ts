/** Commands that do once, now, what a replica does by itself in the background. */
import type { Logger } from "pino";
import { drainDeps, sweepDeps } from "./background.js";
import { progressBar } from "./cli/progress.js";
import { withVault } from "./compose.js";
import type { Config } from "./config.js";
import type { Emptied } from "./core/empty.js";
import { empty } from "./core/empty.js";
import { VaultError } from "./core/errors.js";
import type { Swept } from "./core/sweep.js";
import { sweep } from "./core/sweep.js";
import type { Vault } from "./vault.js";

export function sweepOnce(config: Config): Promise<Swept> {
  return withVault(config, (vault, log) => sweep(sweepDeps(vault, config, log)));
}

/** Sets the bucket of this name draining and empties it. Throws NOT_FOUND, BUCKET_IN_USE. */
export function drainBucket(config: Config, name: string): Promise<Emptied & { bucket: string }> {
  return withVault(config, async (vault: Vault, log: Logger) => {
    const bucket = (await vault.steering.list()).find(known => known.name === name);
    if (!bucket) throw new VaultError("NOT_FOUND", `There is no bucket ${name}.`);
    if (bucket.state !== "disabled") await vault.steering.change(bucket.id, { state: "draining" });
    const progress = progressBar(`draining ${name}`);
    try {
      const { signal } = new AbortController(); // a signal to the process ends it; another run goes on
      const emptied = await empty(
        { ...drainDeps(vault, config, log), manifests: vault.manifests },
        bucket.id,
        {
          signal,
          onProgress: (moved, chunkCount) => progress.update(moved, Math.max(moved, chunkCount)),
        },
      );
      return { bucket: name, ...emptied };
    } finally {
      progress.stop();
    }
  });
}
