/**
 * The database of `npm start`: PostgreSQL from npm, run by us on a unix socket, without a port and without a password.
 *
 * No lock of ours guards a start. A cluster is made beside its place and renamed into it, so the first of two makers
 * wins; PostgreSQL's `postmaster.pid` lets one server run, and whoever finds it running uses it: another server of
 * ours, or an orphan that outlived a `kill -9`. Each user holds a shared advisory lock; the last to leave stops it.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Log } from "../core/ports.js";
import type { Binaries } from "./embedded-binaries.js";
import { findBinaries, reachableBinaries, runAs } from "./embedded-binaries.js";
import { ensureCluster } from "./embedded-cluster.js";
import { EmbeddedError } from "./embedded-error.js";
import type { Home } from "./embedded-home.js";
import { prepareHome } from "./embedded-home.js";
import { isPostgres, livePostmaster } from "./postmaster.js";

export interface EmbeddedOptions {
  /** Ours alone; it is created. */
  readonly dataDir: string;
  readonly log: Log;
  /** False gives up durability for speed: for tests that do not pull plugs. */
  readonly fsync?: boolean;
}

export interface Embedded {
  /** For pg: `postgres://app@<socket folder>/app`, with the port so that a PGPORT of the environment has no say. */
  readonly url: string;
  /** Leaves the server, and shuts it down if no other process of ours uses it. */
  stop(): Promise<void>;
}

/** Says who uses the server; any number will do that nothing else locks in the `postgres` database. */
const PRESENCE = 0x5ca77e2;

/** A server that answers "starting up" (crash recovery) gets as much again from each answer. */
const STARTING_UP = "57P03";
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 60_000;
const SPAWNS_AT_MOST = 4;
/** Times the number of failed starts: backends of a server that was killed may need a moment to notice. */
const RESPAWN_PAUSE_MS = 500;
const POLL_MS = 20;
const LAST_WORDS = 20;

/** A connection kept while we use the server. */
interface Presence {
  readonly client: pg.Client;
  readonly socketDir: string;
}

/** Starts the embedded database, or joins the server that already runs on `dataDir`. Resolves when it answers. */
export async function startEmbedded({ dataDir, log, fsync = true }: EmbeddedOptions): Promise<Embedded> {
  if (process.platform === "win32") throw new EmbeddedError("On Windows, set DATABASE_URL to a PostgreSQL.");
  const found = await findBinaries();
  const home = await prepareHome(dataDir, log);
  const binaries = await reachableBinaries(found, home.account);
  await ensureCluster(home, binaries, fsync);
  const presence = await ensureServer(home, binaries, fsync, log);
  return {
    url: `postgres://app@${encodeURIComponent(presence.socketDir)}/app?port=5432`,
    stop: () => leave(home, presence, log),
  };
}

/** Joins the running server, or starts one and joins that. */
async function ensureServer(home: Home, binaries: Binaries, fsync: boolean, log: Log): Promise<Presence> {
  let server: Server | null = null;
  let spawnCount = 0;
  let nextSpawnAt = 0;
  let deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const postmaster = await livePostmaster(home.clusterDir);
    const isNeeded = postmaster === null && (server === null || server.hasExited());
    if (isNeeded && performance.now() >= nextSpawnAt) {
      // Losing a start to another process looks like a failed one, so one failure is no reason to give up.
      if (spawnCount++ === SPAWNS_AT_MOST)
        throw new EmbeddedError(`PostgreSQL did not start: ${server?.lastWords()}`);
      server = startServer(home, binaries, fsync, log);
      nextSpawnAt = performance.now() + RESPAWN_PAUSE_MS * spawnCount;
    }
    const socketDir = postmaster?.socketDir ?? home.socketDir;
    try {
      return { client: await join(socketDir, log), socketDir };
    } catch (error) {
      if ((error as pg.DatabaseError).code === STARTING_UP) deadline = performance.now() + START_TIMEOUT_MS;
      if (performance.now() > deadline)
        throw new EmbeddedError("PostgreSQL does not answer", { cause: error });
      await sleep(POLL_MS);
    }
  }
}

interface Server {
  hasExited(): boolean;
  lastWords(): string;
}

function startServer(home: Home, binaries: Binaries, fsync: boolean, log: Log): Server {
  const settings = {
    listen_addresses: "",
    port: "5432",
    unix_socket_directories: home.socketDir,
    unix_socket_permissions: "0700",
    // Neither statements nor values: what went wrong is told to the client, and row values do not belong into a log.
    log_min_messages: "log",
    log_min_error_statement: "panic",
    log_error_verbosity: "terse",
    log_checkpoints: "off",
    ...(fsync ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const child = runAs(home.account, binaries, "postgres", ["-D", home.clusterDir, ...args]);
  const words: string[] = [];
  child.on("error", error => words.push(error.message));
  createInterface({ input: child.stderr }).on("line", line => {
    words.push(line);
    if (words.length > LAST_WORDS) words.shift();
    log.info("postgres", { line });
  });
  return {
    hasExited: () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined,
    lastWords: () => words.join("\n"),
  };
}

/** Connects for as long as this process uses the server, makes the database `app`, and says that we are here. */
async function join(socketDir: string, log: Log): Promise<pg.Client> {
  const client = await connect(socketDir, log);
  try {
    await client.query("select pg_advisory_lock_shared($1)", [PRESENCE]);
    const { rowCount } = await client.query("select from pg_database where datname = 'app'");
    if (rowCount === 0) await client.query("create database app").catch(ignoreDuplicate);
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
}

async function connect(socketDir: string, log: Log): Promise<pg.Client> {
  const client = new pg.Client({
    host: socketDir,
    port: 5432,
    user: "app",
    database: "postgres",
    ssl: false,
  });
  // Without a listener, a connection that the server closes would end the process.
  client.on("error", error =>
    log.info("The embedded database closed a connection", { error: error.message }),
  );
  await client.connect();
  return client;
}

/** Two processes may create the database at once. Which error tells depends on how far the other one is. */
function ignoreDuplicate(error: pg.DatabaseError): void {
  if (error.code !== "42P04" && error.code !== "23505") throw error;
}

async function leave({ clusterDir }: Home, presence: Presence, log: Log): Promise<void> {
  await presence.client.end().catch(() => {});
  const postmaster = await livePostmaster(clusterDir);
  if (postmaster === null) return;
  const last = await lockAlone(presence.socketDir, log);
  if (last === null) return;
  // SIGINT is PostgreSQL's fast shutdown: it ends sessions, writes a checkpoint and leaves nothing to recover.
  await interrupt(postmaster.pid);
  await last.end().catch(() => {});
}

/**
 * Of several that leave at once exactly one gets the exclusive lock, and it keeps it until the shutdown cuts it off.
 * Null: someone still uses the server, or has begun to shut it down.
 */
async function lockAlone(socketDir: string, log: Log): Promise<pg.Client | null> {
  let client: pg.Client | undefined;
  try {
    client = await connect(socketDir, log);
    const { rows } = await client.query<{ alone: boolean }>("select pg_try_advisory_lock($1) as alone", [
      PRESENCE,
    ]);
    if (rows[0]?.alone) return client;
  } catch (error) {
    log.info("The embedded database is being shut down by another", { error: String(error) });
  }
  await client?.end().catch(() => {});
  return null;
}

async function interrupt(pid: number): Promise<void> {
  process.kill(pid, "SIGINT");
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (await isPostgres(pid)) {
    if (performance.now() > deadline) throw new EmbeddedError(`PostgreSQL (${pid}) does not stop`);
    await sleep(POLL_MS);
  }
}
