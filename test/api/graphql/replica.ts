/** Another replica of a test server, over the same database and buckets: the way in for bytes that no door brought. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { Registry } from "prom-client";
import { openBuckets } from "../../../src/buckets/open.js";
import { parseBucketUrls } from "../../../src/buckets/spec.js";
import { readConfig } from "../../../src/config.js";
import { sweep } from "../../../src/core/sweep.js";
import { openDatabase } from "../../../src/database/orm.js";
import { openVault } from "../../../src/vault.js";
import { InlineSealer } from "../../../src/workers/inline.js";
import { silent } from "../../support/log.js";
import type { TestServer } from "../../support/server.js";
import { InlineHasher } from "../../support/inline-hasher.js";

const BUCKET_COUNT = 6;

export type Replica = Awaited<ReturnType<typeof openReplica>>;

export async function openReplica({ databaseUrl, dataDir }: TestServer) {
  const database = await openDatabase({ url: databaseUrl, poolSize: 4, log: silent });
  const folders = Array.from({ length: BUCKET_COUNT }, (_, i) => join(dataDir, "buckets", `${i + 1}`));
  const specs = parseBucketUrls(folders.map(folder => pathToFileURL(folder).href).join(","));
  const opened = await openBuckets(specs, { registry: new Registry() });
  const makeSealer = () => Object.assign(new InlineSealer(), { close: async () => {} });
  const makeHasher = () => new InlineHasher();
  const vault = await openVault(readConfig({}), database, opened, silent, { makeSealer, makeHasher });
  return {
    uploads: vault.uploads,

    /** Adds `bytes` where the upload stands. */
    async append(token: string, bytes: Uint8Array): Promise<void> {
      const { offset } = await vault.uploads.find(token);
      await vault.uploads.append(token, offset, one(bytes), { lastByte: "by-length" });
    },

    /** Lets the time of the upload with this id run out, as the database's clock sees it. */
    async expire(id: string): Promise<void> {
      await query(databaseUrl, "update uploads set expires_at = now() - interval '1 second' where id = $1", [
        id,
      ]);
    },

    /** Counted, not computed. */
    async dataChunkRows(id: string): Promise<number> {
      const text = `
        select count(*)::int as count from chunks c join uploads u on u.id = c.file_id
        where u.id = $1 and c.shard < u.data_chunks`;
      const [row] = await query<{ count: number }>(databaseUrl, text, [id]);
      return row?.count ?? 0;
    },

    /** Changes rows as nobody but time, or who holds the database, could. */
    query: (text: string, values: string[]) => query(databaseUrl, text, values),

    sweep: () => sweep({ ...vault.sweepable, log: silent, graceSeconds: 0 }),

    async close(): Promise<void> {
      await vault.close();
      await database.close();
    },
  };
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(bytes); // a copy: what an append takes is its own
}

async function query<T extends object>(url: string, text: string, values: string[]): Promise<T[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<T>(text, values)).rows;
  } finally {
    await client.end();
  }
}
