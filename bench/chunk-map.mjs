/**
 * `npm run bench:map`: how long an administrator waits for the chunk map of a file of a million chunks, over the GraphQL
 * of the built server, beside a bare `select count(*)` of the same rows in the same run. The file is rows alone: 4 + 2,
 * each stripe in a random order of six buckets, so that ranges are as short as they get.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { startEmbedded } from "../dist/database/embedded.js";
import { encodeCore, hashOf } from "../dist/format/core.js";
import { startMessage } from "../dist/format/floe.js";
import { newFileId } from "../dist/format/id.js";
import { layoutFor, plainBytesPerChunk } from "../dist/format/layout.js";
import { machineFacts } from "./machine.mjs";
import { peakBytes } from "./memory.mjs";
import { stopAll } from "./processes.mjs";
import { PROGRAM, startServer } from "./server.mjs";
import { settings } from "./settings.mjs";
import { summary } from "./statistics.mjs";

const DATA_CHUNKS = 4;
const PARITY_CHUNKS = 2;
/** With the parity of 166,667 stripes, the last of which is short, a million. */
const CHUNK_COUNT = 666_666;
const STRIPE_COUNT = Math.ceil(CHUNK_COUNT / DATA_CHUNKS);
const ROUNDS = 7;
const ADMIN_TOKEN = randomBytes(24).toString("base64url");

const PLACEMENT = `query ($hash: Sha256!) {
  file(hash: $hash) { placement { bucket { id name } chunkCount storedSize ranges { first last chunkCount } } }
}`;
const CHUNKS = `query ($hash: Sha256!, $after: String) {
  file(hash: $hash) {
    chunks(first: 100, after: $after) {
      nodes { id index stripe shard storedSize digest objectKey state bucket { id name } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;

const folder = await mkdtemp(join(settings.folder, "sv-bench-"));
const postgres = await startEmbedded({
  dataDir: join(folder, "postgres"),
  log: { info() {}, warn: console.warn, error: console.error },
});
const database = new pg.Client(postgres.url);
try {
  await run();
} finally {
  await stopAll();
  await database.end();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
}

async function run() {
  const env = { DATABASE_URL: postgres.url, ADMIN_TOKEN };
  execFileSync(process.execPath, [PROGRAM, "migrate"], { env: { ...process.env, ...env }, stdio: "ignore" });
  const server = await startServer(folder, env); // its buckets are rows from here on
  await database.connect();
  console.log(`The chunk map of a file of a million chunks, each measure ${ROUNDS} times, interleaved`);
  for (const line of machineFacts(folder).text) console.log(`  ${line}`);
  const { id, hash } = await insertFile();
  const middle = Buffer.from(`chunks ${id} ${STRIPE_COUNT >> 1} 0`).toString("base64url");
  const measures = {
    "select count(*) of the rows": () =>
      database.query("select count(*) from chunks where file_id = $1", [id]),
    placement: () => ask(server.url, PLACEMENT, { hash }),
    "first 100 chunks": () => ask(server.url, CHUNKS, { hash }),
    "100 chunks from the middle": () => ask(server.url, CHUNKS, { hash, after: middle }),
  };
  const before = peakBytes(server.pid);
  const times = Object.fromEntries(Object.keys(measures).map(name => [name, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, measure] of Object.entries(measures)) {
      const started = performance.now();
      await measure();
      if (round > 0) times[name].push(performance.now() - started); // the first warms caches up
    }
  }
  const { placement } = (await ask(server.url, PLACEMENT, { hash })).file;
  const ranges = placement.reduce((sum, share) => sum + share.ranges.length, 0);
  console.log("\n".padEnd(36), "ms  (least – greatest)");
  for (const [name, of] of Object.entries(times)) console.log(`  ${name.padEnd(30)}${summary(of)}`);
  console.log(
    `\n  placement: ${placement.length} buckets, ${ranges} ranges, ${JSON.stringify(placement).length} bytes`,
  );
  const mib = bytes => Math.round(bytes / 2 ** 20);
  console.log(
    `  peak memory of the server: ${mib(before)} MiB before, ${mib(peakBytes(server.pid))} MiB after`,
  );
  await server.stop();
}

/** Only what reading the map needs of a file: no chunk of it exists, and no password opens it. */
async function insertFile() {
  const id = newFileId();
  const layout = layoutFor(2 ** 20);
  const plainBytes = CHUNK_COUNT * plainBytesPerChunk(layout);
  const { header } = startMessage(randomBytes(32), randomBytes(20), layout.segmentBytes);
  const core = encodeCore({
    flags: 0,
    ...layout,
    plainBytes,
    chunkCount: CHUNK_COUNT,
    fileId: id,
    floeHeader: header,
    commit: randomBytes(32),
    root: randomBytes(32),
  });
  const hash = hashOf(core);
  await database.query(
    `insert into files (id, hash, core, seal, plain_bytes, data_chunks, parity_chunks)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      id,
      Buffer.from(hash, "hex"),
      Buffer.from(core),
      randomBytes(32),
      plainBytes,
      DATA_CHUNKS,
      PARITY_CHUNKS,
    ],
  );
  await database.query(
    `insert into chunks (file_id, stripe, shard, bucket_id, object_key, stored_bytes, digest)
     select $1, stripe, shard, row_number() over (partition by stripe order by random()), gen_random_uuid(), $4, sha256(int4send(stripe))
     from generate_series(0, $2::int - 1) stripe, generate_series(0, $3::int - 1) shard
     where stripe * ${DATA_CHUNKS} + shard < $5 or shard >= ${DATA_CHUNKS}`,
    [id, STRIPE_COUNT, DATA_CHUNKS + PARITY_CHUNKS, layout.chunkBytes, CHUNK_COUNT],
  );
  await database.query("vacuum analyze chunks");
  return { id, hash };
}

async function ask(url, query, variables) {
  const answer = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${ADMIN_TOKEN}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await answer.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}
