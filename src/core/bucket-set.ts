/**
 * The buckets of this installation: what is known of each, the port to reach it, and which of them failed a moment
 * ago. One instance a process.
 */
import { BucketError, VaultError } from "./errors.js";
import { Latencies } from "./latencies.js";
import type { BucketId, BucketRecord } from "./model.js";
import type { Bucket, BucketDirectory, Log } from "./ports.js";

/** How long a bucket that failed is placed last, in milliseconds. */
const SUSPICION_MS = 30_000;
/** How old the directory may be, in milliseconds, before it is read again: how fast a drain reaches every replica. */
const REFRESH_MS = 10_000;
/** A name no object has, to see whether a bucket answers: an absent object is an answer. */
const PROBE_KEY = "0".repeat(32);

export class BucketSet {
  #records: readonly BucketRecord[];
  #readAt = performance.now();
  readonly #suspectUntil = new Map<BucketId, number>();
  /** Of reads. */
  readonly latencies = new Latencies();

  private constructor(
    private readonly directory: BucketDirectory,
    private readonly ports: ReadonlyMap<string, Bucket>,
    records: readonly BucketRecord[],
    private readonly log: Log,
  ) {
    this.#records = records;
  }

  /** Gives each bucket its row and reads what the rows say. */
  static async open(
    buckets: readonly (Pick<BucketRecord, "provider" | "region" | "domain"> & { bucket: Bucket })[],
    directory: BucketDirectory,
    log: Log,
  ): Promise<BucketSet> {
    const records = await directory.register(
      buckets.map(({ bucket, provider, region, domain }) => ({
        name: bucket.name,
        provider,
        region,
        domain,
      })),
    );
    const ports = new Map(buckets.map(({ bucket }) => [bucket.name, bucket]));
    return new BucketSet(directory, ports, records, log);
  }

  /** The buckets that are configured here and take new chunks. */
  async candidates(): Promise<readonly BucketRecord[]> {
    if (performance.now() - this.#readAt > REFRESH_MS) await this.refresh();
    return this.#records.filter(record => record.state === "active" && this.isConfigured(record));
  }

  /** Whether the bucket takes new chunks; one that was chosen a while ago may no longer. */
  async isCandidate(id: BucketId): Promise<boolean> {
    return (await this.candidates()).some(candidate => candidate.id === id);
  }

  /** Reads the directory now: what was just changed there holds here at once. */
  async refresh(): Promise<void> {
    const readAt = performance.now();
    this.#records = await this.directory.list();
    this.#readAt = readAt;
  }

  /** Whether this process can reach it; a bucket that was taken out of `BUCKETS` keeps its row. */
  isConfigured({ name }: Pick<BucketRecord, "name">): boolean {
    return this.ports.has(name);
  }

  /** All that have a row, configured here or not. */
  get all(): readonly BucketRecord[] {
    return this.#records;
  }

  /** How many buckets are configured here, whatever their state: what the default profile goes by. */
  get count(): number {
    return this.ports.size;
  }

  /** The port of a bucket that the chunk map names. Throws FILE_UNAVAILABLE if it is not configured here. */
  port(id: BucketId): Bucket {
    const name = this.#records.find(record => record.id === id)?.name;
    const port = name === undefined ? undefined : this.ports.get(name);
    if (!port)
      throw new VaultError("FILE_UNAVAILABLE", `bucket ${id} (${name ?? "no row"}) is not configured here`);
    return port;
  }

  /** Buckets that failed in the last half minute: placed last. */
  get suspects(): ReadonlySet<BucketId> {
    const now = performance.now();
    for (const [id, until] of this.#suspectUntil) if (until < now) this.#suspectUntil.delete(id);
    return new Set(this.#suspectUntil.keys());
  }

  suspect(id: BucketId, error: unknown): void {
    this.#suspectUntil.set(id, performance.now() + SUSPICION_MS);
    this.log.warn("bucket failed, placed last for a while", {
      bucketId: id,
      failure: error instanceof BucketError ? error.failure : "unknown",
      reason: error instanceof Error ? error.message : String(error),
    });
  }

  /** How many active buckets answer within `timeoutMs`. */
  async reachable(timeoutMs: number): Promise<number> {
    const candidates = await this.candidates();
    const answers = await Promise.allSettled(
      candidates.map(({ id }) => this.port(id).get(PROBE_KEY, undefined, AbortSignal.timeout(timeoutMs))),
    );
    return answers.filter(answer => answer.status === "fulfilled").length;
  }
}
