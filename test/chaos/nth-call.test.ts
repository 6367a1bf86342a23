/**
 * The n-th call of each operation fails, n = 1, 2, 3 … until there is none: to any bucket, to the database, before it is made
 * or after. What was acknowledged stays, what fails says so in a known way, and doing it again ends well.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { BucketError, VaultError } from "../../src/core/errors.js";
import type { ChunkRecord, StoredFile } from "../../src/core/model.js";
import { isUnavailable } from "../../src/database/orm.js";
import type { WithNthCall } from "../support/nth-call.js";
import { nthBucketCall, nthStatement } from "../support/nth-call.js";
import type { Vault } from "../support/vault.js";
import { UNPACED, bytesOf, openVault, pieces } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const PASSWORD = "correct horse";
/** Two stripes, and a tail on the way. */
const PLAIN = bytesOf(5000, 1);
/** `npm run chaos` lets each call fail both ways, CI by turns. */
const IS_LONG = process.env["CHAOS_CALLS"] === "all";
const WHENS = ["before", "after"] as const;
const [FIRST, SECOND] = Math.random() < 0.5 ? WHENS : (["after", "before"] as const);
/** "Never a hang". */
const MAX_MS = 60_000;

let vault: Vault;
beforeAll(async () => {
  vault = await openVault({ parity: "default", argonMemoryKiB: 64, rateLimit: "off" });
});
afterAll(() => vault.close());

const store = () => vault.store(PLAIN, { chunkBytes: CHUNK_BYTES });
const append = (token: string, from: number, to: number) =>
  vault.uploads.append(token, from, pieces(PLAIN.subarray(from, to), 700), { lastByte: "by-length" });

/** Something that is done once, after what it needs was prepared. */
type Operation = () => Promise<{
  readonly act: () => Promise<unknown>;
  /** Looks at what must hold however it ended, and brings it to a good end; gives the file that there is then. */
  readonly recover: () => Promise<StoredFile | null>;
}>;

const OPERATIONS: Record<string, Operation> = {
  async begin() {
    let token: string | undefined;
    return {
      act: async () => ({ token } = await vault.begin({ length: PLAIN.length, chunkBytes: CHUNK_BYTES })),
      async recover() {
        if (token !== undefined) await vault.uploads.abandon(token);
        return null;
      },
    };
  },

  async upload() {
    const { token } = await vault.begin({ length: PLAIN.length, chunkBytes: CHUNK_BYTES });
    let acknowledged = 0;
    return {
      async act() {
        for (const end of [2000, PLAIN.length]) acknowledged = await append(token, acknowledged, end);
      },
      async recover() {
        const { offset } = await vault.uploads.find(token);
        expect(offset).toBeGreaterThanOrEqual(acknowledged);
        await append(token, offset, PLAIN.length);
        return vault.uploads.finish(token);
      },
    };
  },

  async finish() {
    const { token } = await vault.begin({ length: PLAIN.length, chunkBytes: CHUNK_BYTES });
    await append(token, 0, PLAIN.length);
    const finish = () => vault.uploads.finish(token);
    return { act: finish, recover: finish };
  },

  async download() {
    const file = await store();
    return {
      async act() {
        const received: Uint8Array[] = [];
        await vault.stream(file.hash, PASSWORD, received).finally(() => {
          const bytes = Buffer.concat(received);
          expect(Buffer.compare(bytes, PLAIN.subarray(0, bytes.length))).toBe(0);
        });
      },
      recover: async () => file,
    };
  },

  async repair() {
    const file = await store();
    const rows = (await vault.chunkMap.chunks(file.id, 0, 0)) as [ChunkRecord, ChunkRecord];
    await vault.replace(rows[0], null);
    await vault.replace(rows[1], new Uint8Array(CHUNK_BYTES));
    const verify = () => vault.verifier.verify(file.hash, vault.caller, UNPACED);
    return {
      act: verify,
      async recover() {
        expect((await verify()).file.status).toBe("available");
        return file;
      },
    };
  },

  async "change of password"() {
    const { hash } = await store();
    const change = { currentPassword: PASSWORD, newPassword: "another horse", revokeLinks: false };
    return {
      act: () => vault.files.changePassword(hash, change, vault.caller),
      async recover() {
        const words = [change.currentPassword, change.newPassword];
        const opened = await Promise.allSettled(words.map(word => vault.read(hash, word)));
        expect(opened.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
        await vault.files.delete(hash, null, vault.caller);
        return null;
      },
    };
  },

  async delete() {
    const { hash } = await store();
    const remove = () => vault.files.delete(hash, null, vault.caller);
    return {
      act: remove,
      async recover() {
        if ((await vault.files.find(hash))?.status !== "gone") {
          expect(Buffer.compare(await vault.read(hash, PASSWORD), PLAIN)).toBe(0); // all of it is there, or nothing
          await remove();
        }
        await expect(vault.read(hash, PASSWORD)).rejects.toMatchObject({ code: "FILE_GONE" });
        return null;
      },
    };
  },
};

/** How each kind of call fails, and how many of them each operation has at least. */
const KINDS: Record<string, { withNth: () => WithNthCall; calls: Record<string, number> }> = {
  "call to a bucket": {
    withNth: () => nthBucketCall(vault.faulty),
    calls: { upload: 10, finish: 3, download: 5, repair: 10 },
  },
  "statement to the database": {
    withNth: () => nthStatement,
    calls: {
      begin: 2,
      upload: 20,
      finish: 10,
      download: 10,
      repair: 20,
      "change of password": 5,
      delete: 5,
    },
  },
};

/** That a door can say more of it than INTERNAL. */
function expectKnown(error: unknown): void {
  if (error instanceof VaultError ? error.code !== "INTERNAL" : error instanceof BucketError) return;
  if (!isUnavailable(error)) throw error;
}

/** Nothing is held any more that was taken for the operation: memory, connections. */
async function expectAllGivenBack(): Promise<void> {
  const { budget, scrubbable } = vault;
  const pool = await vault.database.pool();
  for (let waits = 0; pool.totalCount > pool.idleCount && waits < 100; waits++) await sleep(20);
  expect(pool.totalCount - pool.idleCount).toBe(0);
  expect([budget.free, budget.waiting]).toEqual([budget.total, 0]);
  expect(scrubbable.rebuildBudget.free).toBe(scrubbable.rebuildBudget.total);
}

async function expectNothingButFiles(): Promise<void> {
  await vault.sql("update uploads set expires_at = now() - interval '1 second' where stage = 'receiving'");
  await vault.letTimePass();
  await vault.sweep();
  await vault.sweep();
  const named = await vault.sql(
    "select replace(object_key::text, '-', '') as key from (select object_key from chunks union all select object_key from manifest_objects) as named",
  );
  expect((await vault.objects()).sort()).toEqual(named.map(({ key }) => String(key)).sort());
}

describe.each(Object.entries(KINDS))("when a %s fails", (_kind, { withNth, calls }) => {
  test.each(Object.entries(calls))(
    `of %s, whichever it is: ${IS_LONG ? "before and after it is made" : `the odd ones ${FIRST}, the others ${SECOND} it is made`}`,
    async (name, atLeast) => {
      const prepare = OPERATIONS[name] as Operation;
      let n = 0;
      for (let hasCome = true; hasCome; ) {
        n++;
        for (const when of IS_LONG ? WHENS : [n % 2 === 1 ? FIRST : SECOND]) {
          const { act, recover } = await prepare();
          const began = performance.now();
          hasCome = await withNth()(n, when, async () => void (await act().catch(expectKnown)));
          expect(performance.now() - began).toBeLessThan(MAX_MS);
          await expectAllGivenBack();
          const file = await recover();
          if (file) expect(Buffer.compare(await vault.read(file.hash, PASSWORD), PLAIN)).toBe(0);
        }
      }
      expect(n - 1).toBeGreaterThanOrEqual(atLeast);
      await expectNothingButFiles();
    },
    600_000,
  );
});
