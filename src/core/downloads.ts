/** A file's way out: a link's token and a range become a stream of authenticated plain bytes. */
import { bodyOfFile } from "./body.js";
import { VaultError } from "./errors.js";
import type { GatherDeps } from "./gather.js";
import { gather } from "./gather.js";
import type { Links, OpenLink } from "./links.js";
import type { FileStore, GrantStore } from "./ports.js";

interface DownloadsDeps extends GatherDeps {
  readonly links: Links;
  readonly files: FileStore;
  readonly grants: GrantStore;
}

/** Plain bytes `start` … `end`, the end exclusive. */
export interface PlainRange {
  readonly start: number;
  readonly end: number;
}

export class Downloads {
  constructor(private readonly deps: DownloadsDeps) {}

  /** What the token would download; counts nothing. Throws what {@link Links.resolve} throws. */
  describe(token: string): Promise<OpenLink> {
    return this.deps.links.resolve(token);
  }

  /**
   * Reads the first piece, counts the use, then streams. A file that cannot be read costs no use. Throws LINK_EXPIRED
   * when the link has no use left, FILE_GONE when the file has none; the stream throws FILE_UNAVAILABLE at the first byte
   * it cannot vouch for. `onReclaim` is called when the reader takes nothing while others wait for memory: the door is to
   * cut it off, and then to return the stream.
   */
  async start(
    link: OpenLink,
    range: PlainRange,
    { signal, onReclaim }: { signal: AbortSignal; onReclaim: (why: VaultError) => void },
  ): Promise<AsyncGenerator<Uint8Array, void>> {
    const { file, dek } = link;
    const why = new VaultError("SLOW_CLIENT", `a download of file ${file.id} stalls while memory is short`);
    const stream = gather(this.deps, bodyOfFile(file, dek), range, signal, () => onReclaim(why));
    const first = await stream.next();
    try {
      await this.#count(link, range.start);
    } catch (error) {
      await stream.return(undefined);
      throw error;
    }
    return resumed(first, stream);
  }

  async #count({ file, grant }: OpenLink, start: number): Promise<void> {
    const use = await this.deps.grants.beginUse(grant.id, start);
    if (use === "refused")
      throw new VaultError("LINK_EXPIRED", `the link of file ${file.id} has no use left`);
    if (use === "taken" && !(await this.deps.files.countDownload(file.id))) {
      throw new VaultError("FILE_GONE", `file ${file.id} has no download left`);
    }
  }

  /**
   * To be called when the whole range has been delivered. If that was the end of the file the use is over, and so is
   * the file if it was its last download.
   */
  async delivered({ file: { id, plainBytes }, grant }: OpenLink, range: PlainRange): Promise<void> {
    if (range.end < plainBytes) return;
    await this.deps.grants.endUse(grant.id);
    const file = await this.deps.files.find({ id });
    if (file?.maxDownloads != null && file.downloadCount >= file.maxDownloads && !file.isRetained) {
      await this.deps.files.shred(id);
    }
  }
}

/**
 * A stream whose first piece has been taken, whole again. No generator: one that is returned before its first step runs
 * nothing, and would never let go of the memory of that piece.
 */
function resumed(
  first: IteratorResult<Uint8Array, void>,
  rest: AsyncGenerator<Uint8Array, void>,
): AsyncGenerator<Uint8Array, void> {
  let taken: IteratorResult<Uint8Array, void> | null = first;
  return {
    async next() {
      const piece = taken ?? (await rest.next());
      taken = null;
      return piece;
    },
    return: () => rest.return(),
    throw: error => rest.throw(error),
    [Symbol.asyncIterator]() {
      return this;
    },
    [Symbol.asyncDispose]: async () => void (await rest.return()),
  };
}
