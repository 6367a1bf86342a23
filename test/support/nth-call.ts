/** Lets the n-th call of many fail, and says whether there was an n-th: the method of SQLite's and MinIO's tests. */
import { once } from "node:events";
import type { Socket } from "node:net";
import pg from "pg";
import { BucketError } from "../../src/core/errors.js";
import type { FaultyBucket } from "./faulty-bucket.js";

/** `before`: the call is not made; `after`: it is, and its answer is lost. */
export type When = "before" | "after";

/** Runs `act` while the n-th call of something fails; returns whether there were as many. */
export type WithNthCall = (n: number, when: When, act: () => Promise<void>) => Promise<boolean>;

/** Of all calls to all of the buckets. */
export function nthBucketCall(buckets: readonly FaultyBucket[]): WithNthCall {
  return async (n, when, act) => {
    let calls = 0;
    for (const bucket of buckets) {
      bucket.each = async work => {
        if (++calls !== n) return work();
        if (when === "after") await work();
        throw new BucketError("unavailable", `${bucket.name}: call ${n} was to fail`);
      };
    }
    try {
      await act();
    } finally {
      for (const bucket of buckets) bucket.each = work => work();
    }
    return calls >= n;
  };
}

type Query = (this: pg.Client, ...args: unknown[]) => unknown;

/**
 * Of all statements that this process sends to PostgreSQL: the connection is cut before the statement is sent, or when it
 * was carried out. The pool has to find out, and to open another.
 */
export const nthStatement: WithNthCall = async (n, when, act) => {
  const prototype = pg.Client.prototype as unknown as { query: Query };
  const { query } = prototype;
  let calls = 0;
  prototype.query = function (...args) {
    const send = () => Reflect.apply(query, this, args);
    // With a callback it is the tests that ask, through the pool.
    if (typeof args.at(-1) === "function" || ++calls !== n) return send();
    if (when === "after") return answerLost(this, send);
    cut(this);
    return send();
  };
  try {
    await act();
  } finally {
    prototype.query = query;
  }
  return calls >= n;
};

async function answerLost(client: pg.Client, send: () => unknown): Promise<never> {
  await send();
  await once(cut(client), "close"); // or the pool would lend it once more
  throw new Error("Connection terminated unexpectedly"); // as pg says it
}

function cut(client: pg.Client): Socket {
  const { connection } = client as unknown as { connection: { stream: Socket } };
  return connection.stream.destroy();
}
