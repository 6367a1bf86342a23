import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { bytesOf, openVault, pieces } from "../support/vault.js";

test.each([
  ["chunk", 1000, 1000],
  ["tail", 1000, 500],
])("a %s that is moved has its memory until it is stored", async (_, length, bytes) => {
  await using vault = await openVault({ bucketCount: 2 });
  const { token } = await vault.begin({ length });
  await vault.uploads.append(token, 0, pieces(bytesOf(bytes, 1), 500), { lastByte: "by-length" });
  await vault.sql(
    "update buckets set state = 'draining' where id in (select bucket_id from chunks union select tail_bucket_id from uploads)",
  );
  await vault.buckets.refresh();
  const before = vault.calls("put");
  for (const bucket of vault.faulty) bucket.stall("put");
  const moving = vault.drain();
  while (vault.calls("put") === before) await sleep(10);
  expect(vault.budget.free).toBeLessThan(vault.budget.total);
  for (const bucket of vault.faulty) bucket.heal();
  expect(await moving).toMatchObject({ moved: 1 });
  expect(vault.budget.free).toBe(vault.budget.total);
});
