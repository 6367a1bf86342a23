/** Counts tries over all replicas: rate-limiter-flexible over the `attempts` table. */
import { RateLimiterPostgres, RateLimiterRes } from "rate-limiter-flexible";
import type { Code } from "../core/errors.js";
import { VaultError } from "../core/errors.js";
import type { AttemptKey, AttemptLimiter } from "../core/ports.js";
import type { Database } from "./orm.js";

/** So many tries of one key in so many seconds. */
export interface AttemptLimit {
  readonly count: number;
  readonly seconds: number;
}
export type AttemptLimits = Readonly<Record<AttemptKey["limit"], AttemptLimit>>;

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

export class Attempts implements AttemptLimiter {
  private constructor(
    private readonly limiters: Readonly<Record<AttemptKey["limit"], RateLimiterPostgres>>,
  ) {}

  /** Takes the pool out of the database; the table is made by our migration, not by the library. */
  static async open(database: Database, limits: AttemptLimits = DEFAULT_LIMITS): Promise<Attempts> {
    const pool = await database.pool();
    const limiter = (name: AttemptKey["limit"]) =>
      new RateLimiterPostgres({
        storeClient: pool,
        storeType: "pool",
        tableName: "attempts",
        tableCreated: true,
        keyPrefix: name,
        points: limits[name].count,
        duration: limits[name].seconds,
      });
    return new Attempts({
      password: limiter("password"),
      address: limiter("address"),
      begin: limiter("begin"),
    });
  }

  async take(keys: readonly AttemptKey[]): Promise<void> {
    const tried: AttemptKey[] = [];
    for (const key of keys) {
      tried.push(key);
      try {
        await this.limiters[key.limit].consume(key.key);
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) throw refusal;
        // All or nothing. The refused one is given back too: it has been counted, but no try will follow.
        await this.giveBack(tried);
        throw new VaultError(REFUSAL[key.limit], `no ${key.limit} attempts left`, {
          retryAfterSeconds: Math.max(1, Math.ceil(refusal.msBeforeNext / 1000)),
        });
      }
    }
  }

  async giveBack(keys: readonly AttemptKey[]): Promise<void> {
    await Promise.all(keys.map(key => this.limiters[key.limit].reward(key.key)));
  }
}

/** For `RATE_LIMIT=off`. */
export const UNLIMITED: AttemptLimiter = { take: async () => {}, giveBack: async () => {} };
