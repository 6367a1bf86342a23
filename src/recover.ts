/** Composes what a recovery needs: buckets that are only read, and for the whole database an empty one. */
import type { Logger } from "pino";
import { pino } from "pino";
import { Registry } from "prom-client";
import { openBuckets } from "./buckets/open.js";
import { parseBucketUrls } from "./buckets/spec.js";
import { Closers, defaultBuckets, openStores } from "./stores.js";
import type { Config } from "./config.js";
import { Budget } from "./core/budget.js";
import { VaultError } from "./core/errors.js";
import { gather } from "./core/gather.js";
import { Latencies } from "./core/latencies.js";
import type { Bucket } from "./core/ports.js";
import type { Rebuilt } from "./core/rebuild.js";
import { rebuild } from "./core/rebuild.js";
import type { RecoveredFile } from "./core/recovery.js";
import { recoverFile } from "./core/recovery.js";
import { BucketRows } from "./database/bucket-directory.js";
import { RebuildRows } from "./database/rebuild-store.js";
import { logOf } from "./log.js";
import { keptMapKey } from "./map-key.js";
import { SealerPool } from "./workers/pool.js";

type OnProgress = (done: number, total: number) => void;

interface FileRequest {
  readonly hash: string;
  readonly password: string;
  readonly buckets: string | null;
  readonly onProgress: OnProgress;
}

/** What is told of a file that came back. */
export interface Recovered {
  readonly hash: string;
  readonly name: string;
  readonly mediaType: string;
  readonly plainBytes: number;
  readonly sha256: string | null;
  readonly revision: number;
}

const NOBODY: ReadonlySet<number> = new Set();

/** Gets one file back without a database. Throws what {@link recoverFile} and `write` throw. */
export async function recoverOne(
  config: Config,
  request: FileRequest,
  write: (bytes: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<Recovered> {
  const log = logOf(logTo(config));
  const buckets = await openBucketsOf(config, request.buckets);
  const { hash, password } = request;
  const recovered = await recoverFile({ buckets, pepper: config.PEPPER ?? null, log }, hash, password);
  const sealer = new SealerPool(config.SEAL_THREADS);
  try {
    const budget = new Budget(config.MEMORY_BUDGET, { maxWaiters: 1_000, idleGraceMs: 10_000 });
    const { body, chunkMap } = recovered;
    const readable = { ...recovered.buckets, suspects: NOBODY, latencies: new Latencies() };
    const rebuildBudget = new Budget(config.MEMORY_BUDGET, { maxWaiters: 1_000, idleGraceMs: 10_000 });
    const damage = { async report() {} }; // there is no map to note it in
    const deps = { buckets: readable, chunkMap, sealer, budget, rebuildBudget, damage, log };
    const range = { start: 0, end: body.plainBytes };
    const bytes = gather(deps, body, range, new AbortController().signal, () => {});
    await write(counted(bytes, done => request.onProgress(done, body.plainBytes)));
  } finally {
    await sealer.close();
  }
  return told(hash, recovered);
}

/** Makes the database anew. Throws BAD_REQUEST without a MAP_KEY, or where the database is not empty. */
export async function recoverAll(
  config: Config,
  request: Pick<FileRequest, "buckets" | "onProgress">,
): Promise<Rebuilt> {
  const operatorKey = await keptMapKey(config);
  if (!operatorKey)
    throw new VaultError("BAD_REQUEST", "MAP_KEY is not set: without it only single files come back");
  const log = logTo(config);
  const closers = new Closers();
  try {
    const database = await openStores(config, log, closers);
    return await rebuild({
      buckets: await openBucketsOf(config, request.buckets),
      directory: new BucketRows(database),
      store: new RebuildRows(database),
      operatorKey,
      log: logOf(log),
      onProgress: ({ looked, listed }) => request.onProgress(looked, listed),
    });
  } finally {
    await closers.close();
  }
}

/** Standard output is for the result. */
function logTo(config: Config): Logger {
  return pino({ level: config.LOG_LEVEL }, pino.destination(2));
}

/** Makes no folder: a path that was mistyped is an empty bucket, and not a new one. */
async function openBucketsOf(config: Config, urls: string | null): Promise<Bucket[]> {
  const specs =
    urls === null
      ? (config.BUCKETS ?? parseBucketUrls(defaultBuckets(config.DATA_DIR)))
      : parseBucketUrls(urls);
  const gcsEndpoint = config.GCS_ENDPOINT;
  const opened = await openBuckets(specs, {
    registry: new Registry(),
    isReadOnly: true,
    ...(gcsEndpoint === undefined ? {} : { gcsEndpoint }),
  });
  return opened.map(({ bucket }) => bucket);
}

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  onCount: (done: number) => void,
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const piece of bytes) {
    yield piece;
    done += piece.length;
    onCount(done);
  }
}

function told(hash: string, { meta, body, revision }: RecoveredFile): Recovered {
  const { name, mediaType, sha256 } = meta;
  return { hash, name, mediaType, plainBytes: body.plainBytes, sha256, revision };
}
