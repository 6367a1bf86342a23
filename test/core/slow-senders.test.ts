/** Memory is short, and some of those who hold it send slowly: nobody else waits for them for long. */
import { expect, test } from "@jest/globals";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../support/until.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault, pieces } from "../support/vault.js";

const MIB = 1024 * 1024;
const BY_LENGTH = { lastByte: "by-length" } as const;

/** A sender whose pieces come so far apart, until it is told to stop. */
function trickling(stop: AbortSignal, pauseMs: number) {
  return (async function* () {
    while (!stop.aborted) {
      yield new Uint8Array(1);
      await sleep(pauseMs);
    }
  })();
}

async function sending(vault: Vault, chunkBytes: number, source: AsyncIterable<Uint8Array>) {
  const { token } = await vault.begin({ length: chunkBytes, chunkBytes });
  const appending = vault.uploads.append(token, 0, source, BY_LENGTH);
  return { token, ended: appending.catch((error: unknown) => error) };
}

test("large chunks that trickle keep nobody waiting who needs little", async () => {
  await using vault = await openVault({ memoryBytes: 16 * MIB });
  const stop = new AbortController();
  const large = await Promise.all([1, 2, 3].map(() => sending(vault, 8 * MIB, trickling(stop.signal, 5))));
  await until(async () => vault.budget.waiting === 2);
  const plain = bytesOf(3 * MIB, 1);
  const { hash } = await vault.store(plain);
  expect(Buffer.compare(await vault.read(hash, "correct horse"), plain)).toBe(0);
  expect(vault.budget.waiting).toBe(2);
  stop.abort();
  await Promise.all(large.map(({ ended }) => ended));
});

test("one that trickles is told so when others wait for its memory, keeps what it sent, and goes on", async () => {
  await using vault = await openVault({ memoryBytes: 16 * MIB, idleGraceMs: 40 });
  const stop = new AbortController();
  const slow = await sending(vault, 8 * MIB, trickling(stop.signal, 5));
  await until(() => vault.budget.free < vault.budget.total);
  const other = await sending(vault, 8 * MIB, pieces(bytesOf(8 * MIB, 2), MIB));
  expect(await slow.ended).toMatchObject({ code: "SLOW_CLIENT" });
  expect(await other.ended).toBe(8 * MIB);
  const { offset } = await vault.uploads.find(slow.token);
  expect(offset).toBeGreaterThan(0);
  await vault.uploads.append(slow.token, offset, pieces(new Uint8Array(8 * MIB - offset), MIB), BY_LENGTH);
  expect((await vault.uploads.finish(slow.token)).plainBytes).toBe(8 * MIB);
});

test("a whole is made of its parts where one chunk takes more memory than there is", async () => {
  await using vault = await openVault({ memoryBytes: 16 * MIB });
  const terms = { expiresInSeconds: null, maxDownloads: null };
  const common = { name: "a", mediaType: "text/plain", chunkBytes: 16 * MIB, terms };
  const facts = { uploadConcat: "partial" };
  const plain = bytesOf(3 * MIB, 3);
  const part = await vault.uploads.begin(
    { ...common, facts, length: plain.length, password: null },
    vault.caller,
  );
  await vault.uploads.append(part.token, 0, pieces(plain, MIB), BY_LENGTH);
  const whole = await vault.concatenations.begin(
    [part.token],
    { ...common, password: "correct horse" },
    vault.caller,
  );
  const { hash } = await vault.concatenations.proceed(whole.token);
  expect(Buffer.compare(await vault.read(hash, "correct horse"), plain)).toBe(0);
});
