/** A file's way out: a link's token and a range become a stream of authenticated plain bytes. */
import type { Act, Auditor } from "./auditor.js";
import { bodyOfFile } from "./body.js";
import type { EndingsDeps } from "./endings.js";
import { Endings } from "./endings.js";
import { VaultError } from "./errors.js";
import type { GatherDeps } from "./gather.js";
import { gather } from "./gather.js";
import type { Links, OpenLink } from "./links.js";
import type { Caller } from "./model.js";
import type { UseStore } from "./grant-ports.js";

interface DownloadsDeps extends GatherDeps {
  readonly links: Links;
  readonly endable: EndingsDeps;
  readonly uses: UseStore;
  readonly audit: Auditor;
}

/** Plain bytes `start` … `end`, the end exclusive. */
export interface PlainRange {
  readonly start: number;
  readonly end: number;
}

export class Downloads {
  constructor(private readonly deps: DownloadsDeps) {}

  /** What the token would download; counts nothing. Throws what {@link Links.resolve} throws. */
  describe(token: string, caller: Caller): Promise<OpenLink> {
    return this.deps.links.resolve(token, caller);
  }

  /**
   * Reads the first piece, counts the use, then streams. A file that cannot be read costs no use, and no byte leaves
   * before the use has its entry in the audit log. Throws LINK_EXPIRED
   * when the link has no use left, FILE_GONE when the file has none; the stream throws FILE_UNAVAILABLE at the first byte
   * it cannot vouch for. A piece is the reader's only until it asks for the next. `onReclaim` is called when the reader takes nothing while others wait for memory: the door is to
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
    const act: Act = { action: "FILE_DOWNLOADED", caller: link.caller, fileId: file.id };
    return this.deps.audit.attempt(act, async downloaded => {
      const first = await stream.next();
      try {
        if ((await this.#count(link, range.start)) === "begun") await this.deps.audit.record(downloaded);
      } catch (error) {
        await stream.return(undefined);
        throw error;
      }
      return resumed(first, stream, error => this.deps.audit.failed(act, error));
    });
  }

  async #count({ file, grant }: OpenLink, start: number): Promise<"begun" | "continued"> {
    const use = await this.deps.uses.begin(grant.id, start);
    if (use === "refused")
      throw new VaultError("LINK_EXPIRED", `the link of file ${file.id} has no use left`);
    if (use === "exhausted") throw new VaultError("FILE_GONE", `file ${file.id} has no download left`);
    return use;
  }

  /**
   * To be called when the whole range has been delivered. If that was the end of the file the use is over, and so is
   * the file if it was its last download and no other is under way.
   */
  async delivered({ file: { id, plainBytes }, grant }: OpenLink, range: PlainRange): Promise<void> {
    if (range.end < plainBytes) return;
    if (!(await this.deps.uses.end(grant.id))) return;
    const { endable } = this.deps;
    const over = await endable.expiries.over(id);
    if (over) await new Endings(endable).file(over);
  }
}

/**
 * A stream whose first piece has been taken, whole again. No generator: one that is returned before its first step runs
 * nothing, and would never let go of the memory of that piece. `onFailure` is awaited before its reader learns of it.
 */
function resumed(
  first: IteratorResult<Uint8Array, void>,
  rest: AsyncGenerator<Uint8Array, void>,
  onFailure: (error: unknown) => Promise<void>,
): AsyncGenerator<Uint8Array, void> {
  let taken: IteratorResult<Uint8Array, void> | null = first;
  return {
    async next() {
      const piece = taken ?? rest.next();
      taken = null;
      try {
        return await piece;
      } catch (error) {
        await onFailure(error);
        throw error;
      }
    },
    return: () => rest.return(),
    throw: error => rest.throw(error),
    [Symbol.asyncIterator]() {
      return this;
    },
    [Symbol.asyncDispose]: async () => void (await rest.return()),
  };
}
