/**
 * Counts tries over all replicas, in the `attempts` table and by the database's clock. Not rate-limiter-flexible, which counts
 * by each process's own: of two replicas a day apart, neither saw the other's tries.
 */
import { sql } from "kysely";
import type { Code } from "../core/errors.js";
import { VaultError } from "../core/errors.js";
import type { AttemptKey, AttemptLimiter } from "../core/ports.js";
import type { Database } from "./orm.js";
import { integer } from "./rows.js";

/** So many tries of one key in so many seconds. */
export interface AttemptLimit {
  readonly count: number;
  readonly seconds: number;
}
export type AttemptLimits = Readonly<Record<AttemptKey["limit"], AttemptLimit>>;

/** Milliseconds since 1970. */
const NOW_MS = sql`(extract(epoch from now()) * 1000)::bigint`;

/** Of design §4. */
export const DEFAULT_LIMITS: AttemptLimits = {
  password: { count: 10, seconds: 15 * 60 },
  address: { count: 30, seconds: 15 * 60 },
  begin: { count: 60, seconds: 60 },
};

const REFUSAL = {
  password: "TOO_MANY_ATTEMPTS",
  address: "TOO_MANY_ATTEMPTS",
  begin: "RATE_LIMITED",
} satisfies Record<AttemptKey["limit"], Code>;

/** One statement a key, so that replicas at once count right; all times are the database's. */
export class Attempts implements AttemptLimiter {
  private constructor(
    private readonly database: Database,
    private readonly limits: AttemptLimits,
  ) {}

  static async open(database: Database, limits: AttemptLimits = DEFAULT_LIMITS): Promise<Attempts> {
    return new Attempts(database, limits);
  }

  async check(keys: readonly AttemptKey[]): Promise<void> {
    const { rows } = await sql<{ key: string; points: number; left_ms: string }>`
      select key, points, expire - ${NOW_MS} as left_ms from attempts
      where key = any(${keys.map(rowKey)}) and expire > ${NOW_MS}`.execute(this.database.em().getKysely());
    for (const key of keys) {
      const row = rows.find(found => found.key === rowKey(key));
      if (row && row.points >= this.limits[key.limit].count) throw refusal(key, integer(row.left_ms));
    }
  }

  async take(keys: readonly AttemptKey[]): Promise<void> {
    const taken: AttemptKey[] = [];
    for (const key of keys) {
      taken.push(key);
      const { points, leftMs } = await this.#count(key);
      if (points <= this.limits[key.limit].count) continue;
      // All or nothing. The refused one is given back too: it has been counted, but no try will follow.
      await this.giveBack(taken);
      throw refusal(key, leftMs);
    }
  }

  async giveBack(keys: readonly AttemptKey[]): Promise<void> {
    await sql`
      update attempts set points = greatest(points - 1, 0)
      where key = any(${keys.map(rowKey)}) and expire > ${NOW_MS}`.execute(this.database.em().getKysely());
  }

  /** Counts one more try: in the window under way, or as the first of a new one. */
  async #count(key: AttemptKey): Promise<{ points: number; leftMs: number }> {
    const windowMs = this.limits[key.limit].seconds * 1000;
    const { rows } = await sql<{ points: number; left_ms: string }>`
      insert into attempts as a (key, points, expire) values (${rowKey(key)}, 1, ${NOW_MS} + ${windowMs}::bigint)
      on conflict (key) do update set
        points = case when a.expire > ${NOW_MS} then a.points + 1 else 1 end,
        expire = case when a.expire > ${NOW_MS} then a.expire else excluded.expire end
      returning points, expire - ${NOW_MS} as left_ms`.execute(this.database.em().getKysely());
    const [row] = rows;
    if (!row) throw new Error("an upsert returned no row");
    return { points: row.points, leftMs: integer(row.left_ms) };
  }
}

function refusal({ limit }: AttemptKey, leftMs: number): VaultError {
  return new VaultError(REFUSAL[limit], `no ${limit} attempts left`, {
    retryAfterSeconds: Math.max(1, Math.ceil(leftMs / 1000)),
  });
}

function rowKey({ limit, key }: AttemptKey): string {
  return `${limit}:${key}`;
}

/** For `RATE_LIMIT=off`. */
export const UNLIMITED: AttemptLimiter = {
  check: async () => {},
  take: async () => {},
  giveBack: async () => {},
};
