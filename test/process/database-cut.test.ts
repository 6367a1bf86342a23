/** PostgreSQL's connections cut again and again while files go in and out (T24). */
import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import pg from "pg";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { until } from "../support/until.js";
import { bytesOf } from "../support/vault.js";
import { field, link, store } from "../api/client.js";
import type { Answered, Received } from "./http.js";
import { allFiles, open, receive, upload, works } from "./http.js";
import { NOTHING_BUT_FILES, letTimePass, query, remains, sweep } from "./remains.js";

const CUTTING_MS = 10_000;
const UPLOADERS = 4;
const DOWNLOADERS = 3;
/** What may be said of a database that is away, or that took a commit and lost its answer. */
const CODES = ["STORAGE_UNAVAILABLE", "UPLOAD_TAKEN_OVER"];

let at: Installation;
let server: ServerProcess;
beforeAll(async () => {
  at = await Installation.make();
  server = await at.start();
}, 180_000);
afterAll(() => at.remove());

/** The chunk rows that cannot be read make the file unavailable for the moment, as an object would. */
const HONEST = ["whole", "cut short", "503 STORAGE_UNAVAILABLE", "503 FILE_UNAVAILABLE"];

function verdict({ status, code, bytes, isWhole }: Received, plain: Uint8Array): string {
  if (code !== null) return `${status} ${code}`;
  if (Buffer.compare(bytes, plain.subarray(0, bytes.length)) !== 0) return "wrong bytes";
  if (isWhole) return bytes.length === plain.length ? "whole" : "too short";
  return "cut short";
}

/** Cuts every connection to the database but its own, again and again until told. Returns how many. */
async function keepCutting(
  { database }: Installation,
  until: AbortSignal,
  before = async (_: pg.Client) => {},
): Promise<number> {
  const client = new pg.Client(database.url);
  await client.connect();
  let cut = 0;
  while (!until.aborted) {
    await before(client);
    const { rowCount } = await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
    cut += rowCount ?? 0;
    await sleep(randomInt(1, 120));
  }
  await client.end();
  return cut;
}

/** Does `act` again and again, several at a time, until told. */
async function keepDoing<T>(until: AbortSignal, parallel: number, act: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  const worker = async () => {
    for (; !until.aborted; await sleep(10)) results.push(await act());
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return results;
}

test("no byte is lost and none is wrong, and the server goes on", async () => {
  const plain = bytesOf(500_000, 1);
  const stored = await upload(server.url, plain, field("chunk_size", "4096"));
  const from = await link(server.url, stored.hash ?? "");
  const stop = AbortSignal.timeout(CUTTING_MS);
  let seed = 2;
  const [cuts, uploads, downloads] = await Promise.all([
    keepCutting(at, stop),
    keepDoing<Answered>(stop, UPLOADERS, () =>
      upload(server.url, bytesOf(randomInt(1, 150_000), seed++), field("chunk_size", "4096")),
    ),
    keepDoing(stop, DOWNLOADERS, async () => verdict(await receive(from), plain)),
  ]);
  expect(cuts).toBeGreaterThan(50);
  if (server.hasEnded) throw new Error(`the server has ended:\n${server.output.slice(-1000)}`);

  // Every upload is a file or an error that says what happened; some of each, or the test has tested nothing.
  const refused = uploads.filter(({ hash }) => hash === null);
  expect(uploads.length - refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeGreaterThan(0);
  expect([...new Set(refused.map(({ code }) => code))].filter(code => !CODES.includes(String(code)))).toEqual(
    [],
  );

  const verdicts = new Set(downloads);
  expect([...verdicts].filter(seen => !HONEST.includes(seen))).toEqual([]);
  expect(verdicts).toContain("whole");
  expect(verdicts.size).toBeGreaterThan(1);

  // A connection may have been cut that has not heard of it yet.
  let inARow = 0;
  await until(async () => {
    inARow = (await fetch(`${server.url}/readyz`)).ok ? inARow + 1 : 0;
    return inARow === 5;
  });
  for (const { hash, plain: sent } of uploads) {
    if (hash !== null) expect(Buffer.compare(await open(server.url, hash), sent)).toBe(0);
  }
  // A commit whose answer was lost may have left a whole file that nobody was told of.
  const told = new Set(uploads.map(({ hash }) => hash));
  for (const hash of await allFiles(server.url)) {
    if (told.has(hash) || hash === stored.hash) continue;
    const bytes = await open(server.url, hash);
    expect(refused.some(({ plain: sent }) => Buffer.compare(sent, bytes) === 0)).toBe(true);
  }
  expect(await works(server)).toBe(true);
  expect(server.output).not.toMatch(/"INTERNAL"|unhandled|uncaught/i);
}, 180_000);

test("what it left behind is swept", async () => {
  await server.kill("SIGTERM");
  await letTimePass(at);
  await sweep(at);
  expect(await remains(at)).toEqual(NOTHING_BUT_FILES);
}, 180_000);

test("background jobs that lose the database neither end the server nor stay away", async () => {
  await using here = await Installation.make();
  const lives = await here.start();
  await keepCutting(here, AbortSignal.timeout(CUTTING_MS / 2), async client => {
    await client.query("select graphile_worker.add_job('sweep')"); // once a minute is too seldom to be cut
    await sleep(randomInt(1, 30));
  });
  if (lives.hasEnded) throw new Error(`the server has ended:\n${lives.output.slice(-1000)}`);
  await until(() => works(lives));

  const hash = await store(lives.url, "x", field("expires_in", "1"));
  await sleep(1100);
  await query(here, "select graphile_worker.add_job('sweep')");
  const status = async () => {
    const rows = await query(here, "select status from files where hash = decode($1, 'hex')", [hash]);
    return rows[0]?.["status"];
  };
  // A runner that lost the database may take some seconds to end, is begun again after five, and has cron's next minute.
  for (let i = 0; i < 800 && (await status()) !== "gone"; i++) await sleep(100);
  expect(await status()).toBe("gone");
}, 150_000);
