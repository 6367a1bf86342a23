/**
 * Removing what is expired or provably dead: expired uploads and files, then the objects that nothing names any more.
 * Every step can be repeated after a crash and run on several replicas at once. An object that the database does not know
 * is left alone; and what only the clock says is over is spared where the buckets know better (newer.ts): a database that
 * was restored from an old backup must not destroy files.
 */
import { eachAtOnce } from "./at-once.js";
import type { BucketId, ObjectRef } from "./model.js";
import type { Ending, EndingsDeps } from "./endings.js";
import { Endings, RETRY_SECONDS, SPARE_SECONDS } from "./endings.js";
import type { Finding } from "./newer.js";
import type { DeadObjects, LostObject, LostObjects } from "./sweep-ports.js";

const BATCH = 500;
/** Objects deleted at once. */
const PARALLEL_DELETES = 16;
/** Things that the buckets are asked about at once. */
const PARALLEL_QUESTIONS = 8;

export interface SweepDeps extends EndingsDeps {
  readonly dead: DeadObjects;
  readonly lost: LostObjects;
  /**
   * How old a pending object must be, in seconds, before it can be dead: longer than any put may take, so that a
   * writer that lost its lease cannot store an object after it was swept.
   */
  readonly graceSeconds: number;
}

export interface Swept {
  readonly uploads: number;
  readonly files: number;
  readonly objects: number;
  /** Objects of buckets that did not answer; the next sweep tries again. */
  readonly objectsLeft: number;
  /** Uploads, files and lost objects that the buckets know more of than the database, or that too few of them answered for. */
  readonly spared: number;
}

/** One whole pass, or what `timeMs` allows of it; the next goes on with the rest. */
export async function sweep(deps: SweepDeps, signal?: AbortSignal, timeMs = Infinity): Promise<Swept> {
  const pass = new Pass(deps, signal, performance.now() + timeMs);
  await pass.endExpired();
  await pass.buryLost();
  await pass.deleteDead();
  const { swept } = pass;
  if (Object.values(swept).some(count => count > 0)) deps.log.info("swept", swept);
  return swept;
}

class Pass {
  readonly swept = { uploads: 0, files: 0, objects: 0, objectsLeft: 0, spared: 0 };
  readonly #endings: Endings;
  readonly #failing = new Set<BucketId>();

  constructor(
    private readonly deps: SweepDeps,
    private readonly signal: AbortSignal | undefined,
    /** By `performance.now()`. */
    private readonly until: number,
  ) {
    this.#endings = new Endings(deps, signal);
  }

  async endExpired(): Promise<void> {
    for (let before = -1; before !== this.swept.uploads + this.swept.files; ) {
      before = this.swept.uploads + this.swept.files; // the same again: nothing left, or another replica was faster
      const { uploads, files, halfShredded } = await this.deps.expiries.expired(BATCH);
      await this.#end("uploads", uploads, upload => this.#endings.upload(upload));
      await this.#end("files", files, file => this.#endings.file(file));
      await this.#end("files", halfShredded, fileId => this.#endings.shred(fileId));
      if (this.#isTimeUp) return;
    }
  }

  async #end<T>(
    kind: "uploads" | "files",
    items: readonly T[],
    end: (item: T) => Promise<Ending>,
  ): Promise<void> {
    await this.#each(items, async item => {
      const ending = await end(item);
      if (ending === "ended") this.swept[kind]++;
      if (ending === "spared") this.swept.spared++;
    });
  }

  /** Objects that their writers have lost become dead, and are deleted at once. */
  async buryLost(): Promise<void> {
    const { lost, graceSeconds } = this.deps;
    for (let isMore = true; isMore; ) {
      const found = await lost.find(BATCH, graceSeconds);
      const by: Record<Finding["is"], ObjectRef[]> = { nothing: [], newer: [], silent: [] };
      await this.#each(found, async object => by[(await this.#ofLost(object)).is].push(object));
      await lost.spare(by.newer, SPARE_SECONDS);
      await lost.spare(by.silent, RETRY_SECONDS);
      const spared = by.newer.length + by.silent.length;
      const buried = await lost.bury(by.nothing, graceSeconds);
      await this.#delete(buried);
      this.swept.spared += spared;
      isMore = buried.length + spared > 0 && !this.#isTimeUp; // else none is left, or another replica has them
    }
  }

  async deleteDead(): Promise<void> {
    for (;;) {
      this.signal?.throwIfAborted();
      const claimed = await this.deps.dead.claim(BATCH);
      if (claimed.length === 0) return;
      await this.#delete(claimed);
      if (this.#isTimeUp) return;
    }
  }

  get #isTimeUp(): boolean {
    return performance.now() > this.until;
  }

  async #ofLost({ upload, replaces }: LostObject): Promise<Finding> {
    if (upload) return this.#endings.newer.ofUpload(upload);
    return replaces ? this.#endings.newer.ofObject(replaces) : { is: "nothing" };
  }

  async #each<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
    await eachAtOnce(PARALLEL_QUESTIONS, items, item => {
      this.signal?.throwIfAborted();
      return work(item);
    });
  }

  /**
   * Deletes objects and forgets them. A bucket that did not answer is left alone from then on: all its objects would wait
   * for its deadline, and those of other buckets behind them.
   */
  async #delete(objects: readonly ObjectRef[]): Promise<void> {
    const { buckets, dead, log } = this.deps;
    const deleted: ObjectRef[] = [];
    await eachAtOnce(PARALLEL_DELETES, objects, async ref => {
      if (this.#failing.has(ref.bucketId)) return;
      try {
        await buckets.port(ref.bucketId).delete(ref.objectKey, this.signal);
        deleted.push(ref);
      } catch (error) {
        if (this.signal?.aborted) return; // asked again by the next
        if (this.#failing.has(ref.bucketId)) return;
        this.#failing.add(ref.bucketId);
        log.warn("objects of a bucket could not be deleted, the next sweep tries again", {
          bucketId: ref.bucketId,
          reason: String(error),
        });
      }
    });
    await dead.forget(deleted);
    this.swept.objects += deleted.length;
    this.swept.objectsLeft += objects.length - deleted.length;
  }
}
