/** Guessing passwords through GraphQL: each try counts, however many come in one document (threat T2). */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { metric } from "../../support/metrics.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { PASSWORD, store } from "../client.js";
import { post } from "./client.js";

let server: TestServer;
beforeAll(async () => {
  const queryLimits = { aliases: 1000, tokens: 100_000, cost: 100_000 };
  server = await startServer({ RATE_LIMIT: "on" }, { limits: { queryLimits } });
});
afterAll(() => server.stop());

const runs = () => metric(server.url, server.adminToken, "scattervault_argon2_runs_total");

/** One document with so many tries; their codes, in order. */
async function guess(hash: string, passwords: readonly string[]): Promise<unknown[]> {
  const tries = passwords.map(
    (password, i) =>
      `a${i}: unlockFile(input: { hash: "${hash}", password: "${password}" }) { userErrors { code } }`,
  );
  const { data } = await post<Record<string, { userErrors: { code: string }[] }>>(server.url, {
    query: `mutation { ${tries.join("\n")} }`,
  });
  return Object.values(data ?? {}).map(({ userErrors }) => userErrors[0]?.code ?? null);
}

const WRONG = "WRONG_PASSWORD";
const LOCKED = "TOO_MANY_ATTEMPTS";

test("100 aliases in one document are 100 tries: ten run Argon2, the others are refused before it runs", async () => {
  const hash = await store(server.url, "content");
  const before = await runs();
  const codes = await guess(
    hash,
    Array.from({ length: 100 }, (_, i) => `guess ${i}`),
  );
  expect(codes).toEqual([...Array(10).fill(WRONG), ...Array(90).fill(LOCKED)]);
  expect((await runs()) - before).toBe(10);
});

test("five aliases in each of five documents are 25 tries", async () => {
  const hash = await store(server.url, "content");
  const before = await runs();
  const codes: unknown[] = [];
  for (let i = 0; i < 5; i++) codes.push(...(await guess(hash, Array(5).fill(`guess ${i}`))));
  expect(codes).toEqual([...Array(10).fill(WRONG), ...Array(15).fill(LOCKED)]);
  expect((await runs()) - before).toBe(10);
});

test("right passwords use up nothing: 50 of them leave ten tries", async () => {
  const hash = await store(server.url, "content");
  expect(await guess(hash, Array(50).fill(PASSWORD))).toEqual(Array(50).fill(null));
  // The address has used 20 of its 30 tries above.
  expect(await guess(hash, Array(11).fill("wrong guess"))).toEqual([...Array(10).fill(WRONG), LOCKED]);
});
