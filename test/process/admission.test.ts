/** Two hundred passwords at once do not keep the server from anything else (threat T3). */
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { errorOf, link, retrieve, store } from "../api/client.js";
import { metric } from "../support/metrics.js";
import { Installation } from "../support/process.js";

const ADMIN_TOKEN = "admin-token-of-the-tests";
const MIB = 1024 * 1024;
/** One at once, and so many wait. */
const ADMITTED = 1 + 64;

test("of 200 retrievals at once 65 are admitted; while they queue, readiness and a whole download are answered", async () => {
  await using installation = await Installation.make();
  const { url } = await installation.start({
    ARGON2_MEMORY_KIB: "32768",
    ARGON2_PASSES: "8",
    ARGON2_LANES: "4",
  });
  const count = (name: string) => metric(url, ADMIN_TOKEN, `scattervault_argon2_${name}`);
  const content = randomBytes(8 * MIB);
  const hash = await store(url, content);
  const download = await link(url, hash);
  const before = await count("runs_total");

  const answers = Array.from({ length: 200 }, () => retrieve(url, hash));
  while ((await count("rejected_total")) === 0) await sleep(5);

  for (let i = 0; i < 20; i++) expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const received = Buffer.from(await (await fetch(download)).arrayBuffer());
  expect(createHash("sha256").update(received).digest()).toEqual(
    createHash("sha256").update(content).digest(),
  );
  // All of that while the queue had not drained.
  expect(await count("waiting")).toBeGreaterThan(0);
  expect(await count("running")).toBe(1);

  const all = await Promise.all(answers);
  const served = all.filter(({ status }) => status === 200);
  const refused = all.filter(({ status }) => status !== 200);
  expect(served.length).toBeGreaterThanOrEqual(ADMITTED);
  expect((await count("runs_total")) - before).toBe(served.length);
  expect(await count("rejected_total")).toBe(refused.length);
  expect(refused[0]?.headers.get("Retry-After")).toBe("5");
  for (const answer of refused) expect(await errorOf(answer)).toEqual({ status: 503, code: "BUSY" });
  expect(await count("waiting")).toBe(0);
}, 300_000);
