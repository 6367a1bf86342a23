/** The connection to PostgreSQL: pool, migrations, and what its failures mean. */
import { setTimeout as sleep } from "node:timers/promises";
import { MikroORM } from "@mikro-orm/postgresql";
import type { EntityManager } from "@mikro-orm/postgresql";
import { Migrator } from "@mikro-orm/migrations";
import { sql } from "kysely";
import pg from "pg";
import type { Log } from "../core/ports.js";
import { BucketTable, FileTable, GrantTable, UploadTable } from "./entities.js";
import { MIGRATIONS } from "./migrations/list.js";
import { PreparingClient } from "./prepared.js";

export interface DatabaseOptions {
  /** As pg reads it, all of its parameters included (`sslmode`, `host` for sockets). */
  readonly url: string;
  /** Connections at most. */
  readonly poolSize: number;
  readonly log: Log;
}

/** An open database. Stores take one and fork an entity manager per operation. */
export interface Database {
  readonly url: string;
  /** For {@link migrate}. */
  readonly orm: MikroORM;
  /** A fresh unit of work over the pool. */
  em(): EntityManager;
  /** Runs `act` in a transaction, with a unit of work of its own. What it throws rolls back. */
  transaction<T>(act: (em: EntityManager) => Promise<T>): Promise<T>;
  /** The pool itself, for libraries that speak pg. */
  pool(): Promise<pg.Pool>;
  /** Rejects unless the database answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** A pool waits for those who hold its connections; a lost one may be held for ever. */
const CLOSE_TIMEOUT_MS = 10_000;
/** Any number that nothing else locks. */
const MIGRATION_LOCK = 0x5ca77e1;
const MIGRATION_TABLE = "migrations";

/** Opens the pool; no connection is made before the first query, and lost ones are replaced as queries come. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const orm = await MikroORM.init(configuration(options));
  return {
    url: options.url,
    orm,
    em: () => orm.em.fork(),
    transaction: act => transaction(orm.em.fork(), act),
    pool: () => orm.driver.getConnection().getNativeClient(),
    ping: async () => void (await sql`select 1`.execute(orm.em.getKysely())),
    close: () => Promise.race([orm.close(), sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]),
  };
}

/**
 * Instead of `em.transactional`: that one loses a connection of the pool for ever whenever its ROLLBACK fails, so after
 * the database was away as many times as the pool is large, nothing works any more (kysely issue 1990).
 */
function transaction<T>(em: EntityManager, act: (em: EntityManager) => Promise<T>): Promise<T> {
  return em
    .getKysely()
    .transaction()
    .execute(context => {
      em.setTransactionContext(context);
      return act(em);
    });
}

function configuration({ url, poolSize, log }: DatabaseOptions) {
  return {
    entities: [BucketTable, UploadTable, FileTable, GrantTable],
    dbName: decodeURIComponent(new URL(url).pathname.slice(1)),
    // pg reads the URL, not MikroORM, which would drop its parameters.
    driverOptions: {
      connectionString: url,
      max: poolSize,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      Client: PreparingClient,
    },
    ensureDatabase: false,
    // What MikroORM has to say (a connection that the server closed) is ours to log; queries are never logged.
    logger: (message: string) => log.warn("database", { message }),
    colors: false,
    extensions: [Migrator],
    migrations: { tableName: MIGRATION_TABLE, migrationsList: MIGRATIONS, snapshot: false, silent: true },
  };
}

/** Brings the database to this version's tables. Replicas that start at once take turns. */
export async function migrate({ url, orm }: Database, log: Log): Promise<void> {
  // A connection of its own: MikroORM's migrator takes no lock, and runs on connections that its pool picks.
  const turn = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  turn.on("error", error => log.warn("The migration lock's connection was lost", { error: error.message }));
  await turn.connect();
  try {
    await turn.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    for (const { name } of await orm.migrator.up()) log.info("Migrated the database", { name });
  } finally {
    await turn.end();
  }
}

/** Whether {@link migrate} would have nothing to do. Reads only. */
export async function isMigrated(database: Database): Promise<boolean> {
  const names = MIGRATIONS.map(migration => migration.name);
  try {
    const done = await sql<{ count: string }>`
      select count(*) from ${sql.table(MIGRATION_TABLE)} where name = any(${names})`.execute(
      database.em().getKysely(),
    );
    return Number(done.rows[0]?.count) === names.length;
  } catch (error) {
    if ((error as pg.DatabaseError).code === "42P01") return false; // no such table
    throw error;
  }
}

/** SQLSTATEs and errno codes of a server that is not there or will not take us. */
const UNAVAILABLE = [
  /^08/, // connection exception
  /^57P0[1-5]$/, // shutting down, crashed, starting up
  /^53/, // too many connections, out of memory, disk full
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/,
];

/** The same in pg's own words, which come without a code. */
const UNAVAILABLE_MESSAGE =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/;

const MAX_CAUSES = 8;

/** Whether a store rejected because the database is away, so that trying again later makes sense. */
export function isUnavailable(error: unknown): boolean {
  for (let at = error, depth = 0; isErrorLike(at) && depth < MAX_CAUSES; at = at.cause, depth++) {
    // A unix socket that is gone is ENOENT, which alone may just as well be a file of someone else's.
    if (at.syscall === "connect" || UNAVAILABLE_MESSAGE.test(at.message)) return true;
    if (UNAVAILABLE.some(pattern => pattern.test(at.code ?? ""))) return true;
  }
  return false;
}

/** By shape, not by class: MikroORM copies pg's errors into its own, and node's come from another realm under Jest. */
function isErrorLike(value: unknown): value is NodeJS.ErrnoException {
  return (
    typeof value === "object" && value !== null && "message" in value && typeof value.message === "string"
  );
}
