/** The numbers that a rebuilt database gives to the buckets that manifests name. */
import type { BucketId, ObjectKey } from "./model.js";
import type { Bucket, BucketDirectory } from "./ports.js";

/** Objects by which a bucket under a new name is recognised. */
const MAX_SAMPLES = 8;

export class BucketNumbers {
  readonly #byName = new Map<string, Promise<BucketId>>();

  private constructor(
    private readonly directory: BucketDirectory,
    private readonly buckets: readonly Bucket[],
  ) {}

  /** Gives the buckets that are there their rows. */
  static async open(directory: BucketDirectory, buckets: readonly Bucket[]): Promise<BucketNumbers> {
    const numbers = new BucketNumbers(directory, buckets);
    for (const { name } of buckets) await numbers.of(name, []);
    return numbers;
  }

  /**
   * The number of the bucket that a manifest calls `name` and says holds `keys`. A bucket that is not there under this
   * name may be one that was restored under another, which then has the objects. If none has, it gets a row of its own:
   * its chunks are missing until it is configured again.
   */
  of(name: string, keys: readonly ObjectKey[]): Promise<BucketId> {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const finding = this.#find(name, keys.slice(0, MAX_SAMPLES));
    this.#byName.set(name, finding);
    return finding;
  }

  /** The names by their numbers, as far as they are known. */
  async names(): Promise<ReadonlyMap<BucketId, string>> {
    const named = [...this.#byName].map(async ([name, finding]) => [await finding, name] as const);
    return new Map((await Promise.all(named)).reverse()); // the first name of a number wins
  }

  async #find(name: string, keys: readonly ObjectKey[]): Promise<BucketId> {
    if (!this.buckets.some(bucket => bucket.name === name)) {
      for (const key of keys) {
        const holder = await this.#holderOf(key);
        if (holder !== null) return this.of(holder, []);
      }
    }
    const provider = name.startsWith("gs:") ? "gcs" : name.startsWith("memory:") ? "memory" : "disk";
    const rows = await this.directory.register([{ name, provider, region: null, domain: null }]);
    const row = rows.find(record => record.name === name);
    if (!row) throw new Error(`bucket ${name} was registered, and has no row`);
    return row.id;
  }

  async #holderOf(key: ObjectKey): Promise<string | null> {
    for (const bucket of this.buckets) {
      const begin = await bucket.get(key, { first: 0, last: 0 }).catch(() => null);
      if (begin) return bucket.name;
    }
    return null;
  }
}
