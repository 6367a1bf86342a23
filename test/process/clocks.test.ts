/** Replicas whose clocks are wrong, one by a day ahead and one by a day behind (T27): the database's clock is the one. */
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import {
  FORM_TYPE,
  PASSWORD,
  bodyOf,
  errorOf,
  field,
  file,
  formBody,
  link,
  retrieve,
  store,
} from "../api/client.js";
import { letTimePass, query, sweep } from "./remains.js";

const DAY_MS = 86_400_000;
const shifted = (ms: number) => ({
  NODE_OPTIONS: `--import=${new URL("../support/clock-shim.mjs", import.meta.url).href}`,
  CLOCK_SHIFT_MS: String(ms),
});

let at: Installation;
let ahead: ServerProcess;
let behind: ServerProcess;
beforeAll(async () => {
  at = await Installation.make();
  [ahead, behind] = await Promise.all([
    at.start({ ...shifted(DAY_MS), RATE_LIMIT: "on" }),
    at.start({ ...shifted(-DAY_MS), RATE_LIMIT: "on" }),
  ]);
}, 180_000);
afterAll(() => at.remove());

const both = () => [ahead, behind];
/** The same link at another replica. */
const atReplica = (replica: ServerProcess, from: string) => replica.url + new URL(from).pathname;

test("the clocks are wrong indeed", () => {
  const times = both().map(({ output }) => Number(/"time":(\d+)/.exec(output)?.[1]));
  expect(Math.round(((times[0] ?? 0) - (times[1] ?? 0)) / DAY_MS)).toBe(2);
});

test.each(["ahead", "behind"] as const)(
  "a link made by the one that is %s ends for both in its time",
  async who => {
    const maker = { ahead, behind }[who];
    const hash = await store(maker.url, "x");
    const from = await link(maker.url, hash, { expires_in: "6" });
    const deadline = performance.now() + 7200; // whole seconds, rounded up
    for (const replica of both()) expect((await fetch(atReplica(replica, from))).status).toBe(200);
    await sleep(deadline - performance.now());
    for (const replica of both()) {
      const over = await errorOf(await fetch(atReplica(replica, from)));
      expect(over).toEqual({ status: 410, code: "LINK_EXPIRED" });
    }
  },
);

describe.each(["ahead", "behind"] as const)("a file stored by the one that is %s", who => {
  const LIFE_MS = 40_000;
  let hash: string;
  let from: string;
  let overAt: number;
  beforeAll(async () => {
    const { url } = { ahead, behind }[who];
    hash = await store(url, "content", field("expires_in", String(LIFE_MS / 1000)));
    overAt = performance.now() + LIFE_MS;
    from = await link(url, hash);
  });

  test("is there for both in its time, also after a sweep whose clock is ahead", async () => {
    await sweep(at, shifted(DAY_MS));
    for (const replica of both()) {
      const start = await fetch(atReplica(replica, from), { headers: { Range: "bytes=0-2" } });
      expect(await start.text()).toBe("con");
    }
    expect(performance.now()).toBeLessThan(overAt);
    await sleep(overAt - performance.now());
  });

  test.each([
    ["from its beginning", "bytes=0-"],
    ["to who had begun before", "bytes=3-"],
  ])("gives nothing afterwards %s", async (_, Range) => {
    for (const replica of both()) {
      const { status } = await fetch(atReplica(replica, from), { headers: { Range } });
      expect([404, 410]).toContain(status); // 404: a sweep was faster, and the link is gone too
    }
  });

  test("gives no link afterwards", async () => {
    for (const replica of both()) {
      expect(await errorOf(await retrieve(replica.url, hash))).toEqual({ status: 410, code: "FILE_GONE" });
    }
  });

  test("is shredded by a sweep whose clock is behind", async () => {
    await sweep(at, shifted(-DAY_MS));
    const rows = await query(at, "select status from files where hash = decode($1, 'hex')", [hash]);
    expect(rows).toEqual([{ status: "gone" }]);
  });
});

/** A form of which the rest is sent later; `answered` is its status. */
function sendHalf({ url }: ServerProcess) {
  const form = formBody([field("chunk_size", "1024"), field("password", PASSWORD), file(bytesOf(60_000, 1))]);
  const headers = { "Content-Type": FORM_TYPE };
  const sending = request(`${url}/api/upload`, { method: "POST", headers, agent: false });
  const { promise: answered, resolve, reject } = Promise.withResolvers<number | undefined>();
  sending.on("response", response => resolve(response.resume().statusCode)).on("error", reject);
  sending.write(form.subarray(0, 40_000));
  return { answered, sendRest: () => sending.end(form.subarray(40_000)) };
}

describe("an upload under way", () => {
  test("lives its time by the database, whichever clock sweeps", async () => {
    for (const replica of both()) {
      const { answered, sendRest } = sendHalf(replica);
      const hours = "extract(epoch from expires_at - now()) / 3600 as hours";
      const receiving = () =>
        query<{ hours: string }>(at, `select ${hours} from uploads where stage = 'receiving'`);
      for (let i = 0; i < 100 && (await receiving()).length === 0; i++) await sleep(50);
      expect((await receiving()).map(row => Math.round(Number(row.hours)))).toEqual([24]);
      const grants = await query<{ hours: string }>(at, `select ${hours} from grants where kind = 'upload'`);
      expect(grants.map(row => Math.round(Number(row.hours)))).toEqual([24]);
      for (const shiftMs of [DAY_MS, -DAY_MS]) await sweep(at, shifted(shiftMs));
      sendRest();
      expect(await answered).toBe(201);
    }
  });

  test("that has expired by the database is swept by a clock that is behind", async () => {
    const { answered, sendRest } = sendHalf(ahead);
    const receiving = () => query(at, "select id from uploads where stage = 'receiving'");
    for (let i = 0; i < 100 && (await receiving()).length === 0; i++) await sleep(50);
    // More than once: each commit of what is still on its way gives the upload more time.
    for (let i = 0; i < 5 && (await receiving()).length > 0; i++) {
      await letTimePass(at);
      await sweep(at, shifted(-DAY_MS));
    }
    expect(await receiving()).toEqual([]);
    sendRest();
    expect([404, 409, 410]).toContain(await answered);
  });
});

describe("wrong passwords are counted as one", () => {
  test.each([
    ["ahead", "behind"],
    ["behind", "ahead"],
  ] as const)("the one %s does not forget them at the other's clock, %s", async (first, second) => {
    await query(at, "delete from attempts");
    const replicas = { ahead, behind };
    const hash = await store(replicas[first].url, "x");
    const guess = (replica: ServerProcess) => retrieve(replica.url, hash, { password: "wrong horse" });
    for (let i = 0; i < 10; i++) await guess(replicas[first]);
    const refused = await guess(replicas[second]);
    expect((await bodyOf(refused))["code"]).toBe("TOO_MANY_ATTEMPTS");
    expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(15 * 60);
  });
});
