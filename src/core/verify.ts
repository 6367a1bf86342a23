/** Verifying one file by hand: all of it is read now, and what is bad is rebuilt, in buckets that answer. */
import { sameBytes } from "../format/bytes.js";
import { decodeCore, hashOf } from "../format/core.js";
import type { Auditor } from "./auditor.js";
import { VaultError } from "./errors.js";
import type { Files } from "./files.js";
import type { Caller, StoredFile } from "./model.js";
import type { ScrubDeps, Scrubbed } from "./scrub.js";
import { nothingScrubbed, scrubFile } from "./scrub.js";
import { rootOf } from "./whole.js";

/** Whoever asks is waiting. */
const UNPACED = Number.POSITIVE_INFINITY;

interface VerifierDeps {
  readonly files: Files;
  readonly audit: Auditor;
  readonly scrubbing: ScrubDeps;
}

interface VerifyOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (scrubbed: Readonly<Scrubbed>) => void;
}

export class Verifier {
  constructor(private readonly deps: VerifierDeps) {}

  /**
   * Reads every chunk against its digest and repairs what is bad; chunks in buckets that do not answer count as bad, since
   * who asks by hand wants the file whole now. Throws INVALID_HASH, NOT_FOUND, FILE_GONE; FILE_UNAVAILABLE where
   * the chunk map is not the one that the hash commits to. `caller` null: the operator at
   * the command line.
   */
  async verify(
    hash: string,
    caller: Caller | null,
    { signal, onProgress }: VerifyOptions,
  ): Promise<{ file: StoredFile; scrubbed: Scrubbed }> {
    const { files, audit, scrubbing } = this.deps;
    const file = await files.require(hash);
    return audit.attempt({ action: "FILE_VERIFIED", caller, fileId: file.id }, async verified => {
      const scrubbed = nothingScrubbed();
      const how = {
        signal,
        bytesPerSecond: UNPACED,
        repairsUnreadable: true,
        until: Number.POSITIVE_INFINITY,
        ...(onProgress && { onProgress }),
      };
      await this.#checkMap(file);
      await scrubFile(scrubbing, file, 0, how, scrubbed);
      await audit.record(verified);
      return { file: await files.require(hash), scrubbed };
    });
  }

  /** The hash commits to the core, and that to the digests of all data chunks (docs/format.md). */
  async #checkMap({ id, core, hash, parity }: StoredFile): Promise<void> {
    if (hashOf(core) === hash) {
      const { plainBytes, root, ...layout } = decodeCore(core);
      const rows = { id, layout, parity, offset: plainBytes };
      const actual = await rootOf(this.deps.scrubbing.chunkMap, rows).catch((error: unknown) => {
        if (error instanceof VaultError) return null; // a row is missing
        throw error;
      });
      if (actual && sameBytes(actual, root)) return;
    }
    throw new VaultError("FILE_UNAVAILABLE", `file ${id}: its chunk map is not what its hash commits to`);
  }
}
