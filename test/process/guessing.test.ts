/** Guessing passwords over two replicas on one database (threats T1 and T12). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import pg from "pg";
import { errorOf, PASSWORD, retrieve, store } from "../api/client.js";
import { ask } from "../api/graphql/client.js";
import { UnlockFileDocument } from "../generated/graphql.js";
import { metric } from "../support/metrics.js";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";

const ADMIN_TOKEN = "admin-token-of-the-tests";
const WRONG = { status: 403, code: "WRONG_PASSWORD" };
const LOCKED = { status: 429, code: "TOO_MANY_ATTEMPTS" };

let installation: Installation;
let replicas: ServerProcess[];
beforeAll(async () => {
  installation = await Installation.make();
  const env = { RATE_LIMIT: "on", TRUST_PROXY: "0" };
  replicas = await Promise.all([installation.start(env), installation.start(env)]);
}, 180_000);
afterAll(() => installation.remove());
beforeEach(() => query("delete from attempts"));

async function query(text: string): Promise<void> {
  const client = new pg.Client(installation.database.url);
  await client.connect();
  await client.query(text).finally(() => client.end());
}

let tryCount = 0;
/** The replicas in turn. */
function url(): string {
  return replicas[tryCount++ % replicas.length]?.url ?? "";
}

/** One try at the next replica, by REST or GraphQL, from an address that it makes up. */
async function guess(hash: string, password = "a wrong guess"): Promise<{ status: number; code: unknown }> {
  const headers = { "X-Forwarded-For": `203.0.113.${tryCount % 250}` };
  if (tryCount % 3 === 0) {
    const { data } = await ask(url(), UnlockFileDocument, { input: { hash, password } }, headers);
    const code = data?.unlockFile.userErrors[0]?.code;
    return { status: code === LOCKED.code ? 429 : code === WRONG.code ? 403 : 200, code };
  }
  const answer = await fetch(`${url()}/api/retrieve/${hash}`, {
    headers: { ...headers, "File-Password": Buffer.from(password).toString("base64") },
  });
  return errorOf(answer);
}

/** The answers to so many tries, one after another. */
async function guesses(count: number, hash: string): Promise<{ status: number; code: unknown }[]> {
  const answers = [];
  for (let i = 0; i < count; i++) answers.push(await guess(hash));
  return answers;
}

async function argonRuns(): Promise<number> {
  const counts = replicas.map(replica => metric(replica.url, ADMIN_TOKEN, "scattervault_argon2_runs_total"));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

describe("wrong passwords are counted over replicas and doors, whatever X-Forwarded-For says:", () => {
  test("ten of one file, then 429 with the time to wait, and Argon2 runs no more", async () => {
    const hash = await store(url(), "content");
    const before = await argonRuns();
    expect(await guesses(14, hash)).toEqual([...Array(10).fill(WRONG), ...Array(4).fill(LOCKED)]);
    expect((await argonRuns()) - before).toBe(10);
    const refused = await retrieve(url(), hash); // the right one: it cannot be told from the others unless it is tried
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(800);
    expect(await errorOf(refused)).toEqual(LOCKED);
  });

  test("ten of one file, also when a hundred come at once", async () => {
    const hash = await store(url(), "content");
    const before = await argonRuns();
    const answers = await Promise.all(Array.from({ length: 100 }, () => guess(hash)));
    expect(answers.filter(({ code }) => code === "WRONG_PASSWORD")).toHaveLength(10);
    expect((await argonRuns()) - before).toBe(10);
    expect(new Set(answers.map(({ code }) => code))).toEqual(
      new Set(["WRONG_PASSWORD", "TOO_MANY_ATTEMPTS"]),
    );
  });

  test("thirty of one address, spread over files, then 429 also for a file that nobody has tried", async () => {
    const hashes = await Promise.all(Array.from({ length: 4 }, (_, i) => store(url(), `content ${i}`)));
    const answers = [];
    for (const hash of hashes.slice(0, 3)) answers.push(...(await guesses(10, hash)));
    expect(answers).toEqual(Array(30).fill(WRONG));
    expect(await guesses(2, hashes[3] ?? "")).toEqual([LOCKED, LOCKED]);
  });
});

test("the right password works again when the window is over", async () => {
  const hash = await store(url(), "content");
  await guesses(11, hash);
  expect((await retrieve(url(), hash)).status).toBe(429);
  await query("update attempts set expire = expire - 15 * 60 * 1000");
  for (const { url: replica } of replicas) expect((await retrieve(replica, hash)).status).toBe(200);
});

test("a popular file is not locked by its own readers, forty at once and forty one after another", async () => {
  const hash = await store(url(), "content");
  const atOnce = await Promise.all(Array.from({ length: 40 }, () => retrieve(url(), hash)));
  expect(atOnce.map(({ status }) => status)).toEqual(Array(40).fill(200));
  for (let i = 0; i < 40; i++) expect((await retrieve(url(), hash)).status).toBe(200);
  expect(await guesses(11, hash)).toEqual([...Array(10).fill(WRONG), LOCKED]);
});

// docs/security.md, Guessing: by design, because a hash commits to 256 random bits and cannot be found by asking.
test("no such file and a wrong password are told apart, and asking for no such file is no try", async () => {
  const hash = await store(url(), "content");
  for (let i = 0; i < 40; i++) {
    expect(await errorOf(await retrieve(url(), "0".repeat(64), { password: PASSWORD }))).toEqual({
      status: 404,
      code: "NOT_FOUND",
    });
  }
  expect(await guess(hash)).toEqual(WRONG);
});
