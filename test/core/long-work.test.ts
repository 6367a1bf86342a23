/** Work on an upload that takes longer than the upload would live, or than others wait for it. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { until } from "../support/until.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault, pieces } from "../support/vault.js";

let vault: Vault;
beforeAll(async () => {
  vault = await openVault({ parity: "default" });
});
afterAll(() => vault.close());

const PLAIN = bytesOf(5000, 1);
const HOUR_MS = 3_600_000;
const NO_LIMITS = { expiresInSeconds: null, maxDownloads: null };

async function livesFor(token: string): Promise<number> {
  return (await vault.uploads.find(token)).expiresAt.getTime() - Date.now();
}

const nearlyOver = (id: string) =>
  vault.sql("update uploads set expires_at = now() + interval '1 minute' where id = ?", [id]);

/** One of the vault's uploads as a door begins it. */
function begin(facts: { uploadConcat?: string; expectedSha256?: string }, password: string | null = null) {
  return vault.uploads.begin(
    {
      name: "a",
      mediaType: "text/plain",
      length: PLAIN.length,
      chunkBytes: null,
      terms: NO_LIMITS,
      password,
      facts,
    },
    vault.caller,
  );
}

async function whole(facts: Parameters<typeof begin>[0], password: string | null = null) {
  const begun = await begin(facts, password);
  await vault.uploads.append(begun.token, 0, pieces(PLAIN, 999), { lastByte: "by-length" });
  return begun;
}

test("an upload that goes on lives on, before a byte of it has become durable", async () => {
  const { token, upload } = await vault.begin({ length: 100 });
  await nearlyOver(upload.id);
  const stall = Promise.withResolvers<void>();
  const source = (async function* () {
    await stall.promise;
    yield bytesOf(100, 1);
  })();
  const sending = vault.uploads.append(token, 0, source, { lastByte: "by-length" });
  await until(async () => (await livesFor(token)) > 23 * HOUR_MS);
  stall.resolve();
  await sending;
});

test("an upload that is read back for its digest does not expire meanwhile", async () => {
  const expectedSha256 = createHash("sha256").update(PLAIN).digest("hex");
  const { token, upload } = await whole({ expectedSha256 }, "correct horse");
  await nearlyOver(upload.id);
  for (const bucket of vault.faulty) bucket.stall("get");
  const finishing = vault.uploads.finish(token);
  await until(async () => (await livesFor(token)) > 23 * HOUR_MS);
  for (const bucket of vault.faulty) bucket.heal();
  expect((await finishing).plainBytes).toBe(PLAIN.length);
});

test("a whole that is made is left alone by other replicas, however long its first chunk takes", async () => {
  const part = await whole({ uploadConcat: "partial" });
  const { name, mediaType } = { name: "a", mediaType: "text/plain" };
  const input = { name, mediaType, chunkBytes: null, terms: NO_LIMITS, password: "correct horse" };
  const { token, upload } = await vault.concatenations.begin([part.token], input, vault.caller);
  for (const bucket of vault.faulty) bucket.stall("get");
  const making = vault.concatenations.proceed(token);
  await until(async () => (await vault.uploads.find(token)).lease > 0);
  await vault.sql("update uploads set expires_at = expires_at - interval '1 minute' where id = ?", [
    upload.id,
  ]);
  await until(async () => (await vault.uploads.idleMs(await vault.uploads.find(token))) < 10_000);
  for (const bucket of vault.faulty) bucket.heal();
  expect((await making).plainBytes).toBe(PLAIN.length);
});
