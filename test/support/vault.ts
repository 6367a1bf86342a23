/** Core over a real PostgreSQL and memory buckets that can be made to fail: what the tests of core work with. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import type { BucketSpec } from "../../src/buckets/spec.js";
import { MemoryBucket } from "../../src/buckets/memory.js";
import { readConfig } from "../../src/config.js";
import { BucketSet } from "../../src/core/bucket-set.js";
import type { DrainDeps, Drained } from "../../src/core/drain.js";
import { drain } from "../../src/core/drain.js";
import type { PlainRange } from "../../src/core/downloads.js";
import type { Caller, FileTerms, ObjectRef, StoredFile } from "../../src/core/model.js";
import type { Swept } from "../../src/core/sweep.js";
import { sweep } from "../../src/core/sweep.js";
import type { BegunUpload } from "../../src/core/upload-inputs.js";
import { ChunkCatalogueRows } from "../../src/database/chunk-catalogue.js";
import { CHUNK_STATES } from "../../src/database/chunk-map.js";
import { openDatabase } from "../../src/database/orm.js";
import { SEGMENT_OVERHEAD_BYTES } from "../../src/format/layout.js";
import type { Vault as Core } from "../../src/vault.js";
import { openVault as openCore } from "../../src/vault.js";
import { InlineSealer } from "../../src/workers/inline.js";
import { createDatabase } from "./database.js";
import { FaultyBucket } from "./faulty-bucket.js";
import { silent } from "./log.js";
import { InlineHasher } from "./inline-hasher.js";
import { until } from "./until.js";

const MAX_UPLOAD_BYTES = 8 * 1024 * 1024;
const PASSWORD = "correct horse";
/** Old objects are kept for no reader; a writer is alive for an hour. */
const IMPATIENT = { keepSeconds: 0, idleSeconds: 3600 };

/** For scrubbing, repairing and verifying: all there is, at once. */
export const UNPACED = {
  timeMs: 60_000,
  bytesPerSecond: 2 ** 40,
  signal: new AbortController().signal,
};

interface BeginOptions {
  readonly length?: number | null;
  readonly chunkBytes?: number;
  readonly password?: string | null;
  readonly terms?: FileTerms;
}

export type Vault = Awaited<ReturnType<typeof openVault>>;

export async function openVault({
  bucketCount = 6,
  /** The failure domain of each bucket, in turn; none: each is its own. */
  domains = [] as readonly string[],
  memoryBytes = 64 * 1024 * 1024,
  idleGraceMs = 10_000,
  mapKey = undefined as Buffer | undefined,
  pepper = undefined as Buffer | undefined,
  argonMemoryKiB = 8192,
  /** "off": wrong passwords may be tried without end. */
  rateLimit = "on" as "on" | "off",
  /** What placement draws from; unset: what production does. */
  random = undefined as (() => number) | undefined,
  /** "none": as many objects as chunks, which is easier to count; "default": what production has. */
  parity = "none" as "none" | "default",
} = {}) {
  const test = await createDatabase();
  const database = await openDatabase({ url: test.url, poolSize: 8, log: silent });
  const faulty = Array.from(
    { length: bucketCount },
    (_, i) => new FaultyBucket(new MemoryBucket(`memory://${i}`)),
  );
  const opened = faulty.map((bucket, i) => ({ bucket, spec: specOf(bucket.name, domains[i]) }));
  const config = {
    ...readConfig({ ARGON2_MEMORY_KIB: "8192", ARGON2_PASSES: "1", ARGON2_LANES: "1" }),
    MAX_UPLOAD_SIZE: MAX_UPLOAD_BYTES,
    MEMORY_BUDGET: memoryBytes,
    MAP_KEY: mapKey as Buffer<ArrayBuffer> | undefined,
    PEPPER: pepper as Buffer<ArrayBuffer> | undefined,
    ARGON2_MEMORY_KIB: argonMemoryKiB,
    RATE_LIMIT: rateLimit,
    PARITY: parity === "none" ? parity : undefined,
  };
  const sealer = new CountingSealer();
  const core: Core = await openCore(config, database, opened, silent, {
    makeSealer: () => sealer,
    makeHasher: () => new InlineHasher(),
    idleGraceMs,
    ...(random && { random }),
  });
  const caller: Caller = {
    address: "192.0.2.1",
    ip: "192.0.2.1",
    requestId: "a-test",
    roles: new Set(["admin"]),
    name: "test",
  };
  const bucketOf = (row: { bucketId: number }) => core.buckets.port(row.bucketId);
  const close = async () => {
    await core.close();
    await database.close();
    await test.drop();
  };

  const vault = {
    ...core,
    drainable: { ...core.drainable, ...IMPATIENT, bytesPerSecond: 2 ** 40 },
    scrubbable: { ...core.scrubbable, ...IMPATIENT },
    faulty,
    database,
    chunkCatalogue: new ChunkCatalogueRows(database),
    caller,
    maxUploadBytes: MAX_UPLOAD_BYTES,
    close,
    [Symbol.asyncDispose]: close,

    begin({ length = null, chunkBytes, password = PASSWORD, terms }: BeginOptions): Promise<BegunUpload> {
      return core.uploads.begin(
        {
          name: "a.txt",
          mediaType: "text/plain",
          password,
          length,
          chunkBytes: chunkBytes ?? null,
          terms: terms ?? { expiresInSeconds: null, maxDownloads: null },
        },
        // Another address each time, so that the limit of uploads begun stays out of tests of other things.
        { ...caller, address: `192.0.2.${addresses++ % 250}-${addresses}` },
      );
    },

    async store(plain: Uint8Array, options: Omit<BeginOptions, "length"> = {}): Promise<StoredFile> {
      const { token } = await vault.begin({ ...options, length: plain.length });
      await core.uploads.append(token, 0, pieces(plain, 65_536), { lastByte: "by-length" });
      return core.uploads.finish(token);
    },

    async link(
      hash: string,
      password: string,
      limits: { maxUses?: number; expiresInSeconds?: number },
    ): Promise<string> {
      const { maxUses = null, expiresInSeconds = null } = limits;
      return (
        await core.links.create(
          { hash, password, maxUses, expiresInSeconds, disposition: "attachment" },
          caller,
        )
      ).token;
    },

    async open(token: string, range?: PlainRange): Promise<AsyncGenerator<Uint8Array>> {
      const link = await core.downloads.describe(token, caller);
      const wanted = range ?? { start: 0, end: link.file.plainBytes };
      const stream = await core.downloads.start(link, wanted, {
        signal: new AbortController().signal,
        onReclaim: () => {},
      });
      return delivering(stream, () => core.downloads.delivered(link, wanted));
    },

    async take(token: string, range: PlainRange): Promise<Uint8Array> {
      return collect(await vault.open(token, range));
    },

    async read(hash: string, password: string, range?: PlainRange): Promise<Uint8Array> {
      return collect(await vault.open(await vault.link(hash, password, {}), range));
    },

    /** Downloads into `received`, so that what came before a failure can be seen. */
    async stream(hash: string, password: string, received: Uint8Array[]): Promise<void> {
      for await (const piece of await vault.open(await vault.link(hash, password, {})))
        received.push(piece.slice()); // pieces are lent
    },

    async object(row: ObjectRef): Promise<Uint8Array> {
      const object = await bucketOf(row).get(row.objectKey);
      if (!object) throw new Error(`no object ${row.objectKey}`);
      return object;
    },

    /** Puts other bytes (or nothing) where an object lies, as a thief or a bad disk would. */
    async replace(row: ObjectRef, bytes: Uint8Array | null): Promise<void> {
      await bucketOf(row).delete(row.objectKey);
      if (bytes) await bucketOf(row).put(row.objectKey, bytes);
    },

    /** Keys of the objects that are a file's manifest. */
    async manifestObjects(fileId: string): Promise<string[]> {
      const rows = await vault.sql("select object_key from manifest_objects where file_id = ?", [fileId]);
      return rows.map(row => String(row["object_key"]).replaceAll("-", ""));
    },

    async objects(): Promise<string[]> {
      return (await Promise.all(faulty.map(bucket => bucket.list()))).flat();
    },

    calls(operation: "put" | "get"): number {
      return faulty.reduce((sum, bucket) => sum + bucket.calls[operation], 0);
    },

    async sql(text: string, values: string[] = []): Promise<Record<string, unknown>[]> {
      return (await (await database.pool()).query(text.replace("?", "$1"), values)).rows;
    },

    /** Shard and state of the chunks of a file's first stripe. */
    async chunkStates(fileId: string): Promise<[number, string][]> {
      const { rows } = await sql<{ shard: number; state: number }>`
        select shard, state from chunks where file_id = ${fileId} and stripe = 0 order by shard`.execute(
        database.em().getKysely(),
      );
      return rows.map(({ shard, state }) => [shard, CHUNK_STATES[state] ?? "unknown"]);
    },

    /** The buckets as another process over the same database sees them. */
    replica(): Promise<BucketSet> {
      const configured = faulty.map((bucket, i) => {
        return { bucket, provider: "memory" as const, region: null, domain: domains[i] ?? null };
      });
      return BucketSet.open(configured, core.bucketDirectory, silent);
    },

    /** What a `select count(*)` says. */
    async count(text: string, values: string[]): Promise<number> {
      const { rows } = await (await database.pool()).query(text.replace("?", "$1"), values);
      return Number(rows[0]?.count);
    },

    /** What lost a race or was claimed is free again, and manifests are what their files are: an hour of a replica. */
    async letTimePass(): Promise<void> {
      await vault.sql("update pending_objects set held_until = now() where held_until > now()");
      await vault.sql("update dead_objects set claimed_until = '-infinity'");
      // Not what is spared for a day: that is what the buckets know better, and here they never do.
      for (const table of ["uploads", "files", "pending_objects"])
        await vault.sql(
          `update ${table} set spared_until = now() where spared_until < now() + interval '1 hour'`,
        );
      await core.manifests.refreshStale();
    },

    async expire(uploadId: string): Promise<void> {
      await sql`update uploads set expires_at = now() - interval '1 second' where id = ${uploadId}`.execute(
        database.em().getKysely(),
      );
    },

    /**
     * A minute of a replica: one round, and the manifests written anew.
     */
    async drain(options: Partial<DrainDeps & { timeMs: number }> = {}): Promise<Drained> {
      const { timeMs = 60_000, ...deps } = options;
      const drained = await drain(
        { ...vault.drainable, ...deps },
        { timeMs, signal: new AbortController().signal },
      );
      await core.manifests.refreshStale();
      return drained;
    },

    /** Without a grace time: nothing is under way. */
    sweep(): Promise<Swept> {
      return sweep({ ...core.sweepable, log: silent, graceSeconds: 0 });
    },

    /** Takes so much of the memory, in small shares, and gives it back when told. */
    async holdMemory(bytes: number): Promise<() => void> {
      const shares = await Promise.all(Array.from({ length: 16 }, () => core.budget.acquire(bytes / 16)));
      return () => {
        for (const share of shares) share.release();
      };
    },

    /** Waits until so many bytes are durable. */
    reached: (token: string, offset: number) =>
      until(async () => (await vault.uploads.find(token)).offset === offset),

    /** Waits until nothing has been put for a while. */
    async settled(): Promise<void> {
      for (let before = -1; before !== vault.calls("put"); ) {
        before = vault.calls("put");
        await sleep(400);
      }
    },

    countNonces: () => sealer.count(),
  };
  return vault;
}

let addresses = 0;

/** A client that takes everything there is. */
async function* delivering(
  stream: AsyncGenerator<Uint8Array>,
  onEnd: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  yield* stream;
  await onEnd();
}

/** Sees every nonce that is used under every message key. */
class CountingSealer extends InlineSealer {
  #nonces: { seen: number; repeated: string[] } | undefined;
  readonly #used = new Set<string>();

  count(): { readonly seen: number; readonly repeated: readonly string[] } {
    this.#nonces = { seen: 0, repeated: [] };
    return this.#nonces;
  }

  override async seal(...args: Parameters<InlineSealer["seal"]>) {
    const sealed = await super.seal(...args);
    const [message] = args;
    const key = createHash("sha256").update(message.messageKey).digest("hex");
    for (let at = 0; this.#nonces && at < sealed.bytes.length; at += message.params.segmentBytes) {
      const nonce = `${key} ${Buffer.from(sealed.bytes.subarray(at + 4, at + 16)).toString("hex")}`;
      if (this.#used.has(nonce)) this.#nonces.repeated.push(nonce);
      this.#used.add(nonce);
      this.#nonces.seen += at + SEGMENT_OVERHEAD_BYTES <= sealed.bytes.length ? 1 : 0;
    }
    return sealed;
  }

  async close(): Promise<void> {}
}

function specOf(name: string, domain: string | null = null): BucketSpec {
  return { name, provider: "memory", region: null, target: name, domain } as unknown as BucketSpec;
}

/** `length` bytes that differ by `seed`, the same each time. */
export function bytesOf(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed + 1) * 2_654_435_761;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export async function* pieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes)
    yield new Uint8Array(bytes.subarray(at, at + pieceBytes));
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(new Uint8Array(part)); // a piece may be lent
  return new Uint8Array(Buffer.concat(parts));
}
