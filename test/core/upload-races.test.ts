/** Uploads that somebody else changes between what was read of them and what is done, and those that share scarce memory. */
import { afterEach, describe, expect, jest, test } from "@jest/globals";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { Concatenations } from "../../src/core/concat.js";
import type { StoredFile } from "../../src/core/model.js";
import { recut } from "../../src/core/recut.js";
import { Endings } from "../../src/core/endings.js";
import { FileRows } from "../../src/database/file-store.js";
import { UploadRows } from "../../src/database/upload-store.js";
import { silent } from "../support/log.js";
import { until } from "../support/until.js";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault, pieces } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const PLAIN_PER_CHUNK = CHUNK_BYTES - 32;
const PASSWORD = "correct horse";

/** What may end an append. */
const END = fc.constantFrom("whole", "cut", "refused", "raced");

const HOUR_MS = 3_600_000;
const ALL_BUT_INTERVALS = [
  ...(["Date", "hrtime", "performance", "nextTick", "queueMicrotask"] as const),
  ...(["setTimeout", "clearTimeout", "setImmediate", "clearImmediate"] as const),
];

afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

/** Does `meanwhile` before the next lease is asked for. */
function beforeLease(meanwhile: () => Promise<unknown>): void {
  const { lease } = UploadRows.prototype;
  jest.spyOn(UploadRows.prototype, "lease").mockImplementationOnce(async function (
    this: UploadRows,
    ...args
  ) {
    await meanwhile();
    return lease.apply(this, args);
  });
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

const seal = (vault: Vault, token: string, offset: number) =>
  vault.uploads.append(token, offset, nothing(), { lastByte: "by-length" });

/** The bytes, and then nothing more until `stopped`. */
async function* andWait(plain: Uint8Array, stopped: Promise<void>): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(plain);
  await stopped;
}

describe.each(["none", "default"] as const)("with parity %s", parity => {
  test.each([0, 5, PLAIN_PER_CHUNK, 4 * PLAIN_PER_CHUNK])(
    "an upload of %d bytes that is sealed as last by two at once has one last chunk",
    async bytes => {
      await using vault = await openVault({ parity });
      const plain = bytesOf(bytes, 1);
      const { token } = await vault.begin({ length: null, chunkBytes: CHUNK_BYTES });
      await vault.uploads.append(token, 0, pieces(plain, 500), { lastByte: "by-length" });
      await vault.uploads.declareLength(token, bytes);
      beforeLease(() => seal(vault, token, bytes));
      expect(await seal(vault, token, bytes)).toBe(bytes);
      const { hash } = await vault.uploads.finish(token);
      expect(await vault.read(hash, PASSWORD)).toEqual(plain);
    },
  );

  test("a length that is declared while the tail becomes a chunk that others follow ends a file that can be read", async () => {
    await using vault = await openVault({ parity });
    const plain = bytesOf(PLAIN_PER_CHUNK, 2);
    const { token } = await vault.begin({ length: null, chunkBytes: CHUNK_BYTES });
    await vault.uploads.append(token, 0, pieces(plain, 500), { lastByte: "by-length" });
    const stopped = Promise.withResolvers<void>();
    let more: Promise<number> | undefined;
    beforeLease(async () => {
      const source = andWait(bytesOf(8, 3), stopped.promise);
      more = vault.uploads.append(token, plain.length, source, { lastByte: "by-length" });
      more.catch(() => {});
      while ((await vault.uploads.find(token)).tail !== null) await sleep(20);
    });
    await vault.uploads.declareLength(token, plain.length);
    await seal(vault, token, plain.length);
    stopped.resolve();
    await expect(more).rejects.toMatchObject({ code: "UPLOAD_TAKEN_OVER" });
    const { hash } = await vault.uploads.finish(token);
    expect(await vault.read(hash, PASSWORD)).toEqual(plain);
  });
});

test("an upload that gets bytes while the sweep asks the buckets about it does not expire", async () => {
  await using vault = await openVault();
  const { token, upload } = await vault.begin({ length: 10 });
  const append = (offset: number) =>
    vault.uploads.append(token, offset, pieces(bytesOf(5, 4), 5), { lastByte: "by-length" });
  await append(0);
  const endings = new Endings({ ...vault.sweepable, log: silent });
  const late = await vault.uploads.find(token);
  await vault.expire(upload.id);
  const ofUpload = jest.spyOn(endings.newer, "ofUpload").mockImplementationOnce(async () => {
    await vault.sql("update uploads set expires_at = now() + interval '1 day'"); // as a commit under an older lease does
    return { is: "nothing" };
  });
  expect(await endings.upload({ ...late, parityChunks: late.parity.parityChunks })).toBe("passed");
  expect(ofUpload).toHaveBeenCalled();
  expect(await append(5)).toBe(10);
});

test("an upload that becomes a file while it is abandoned is said to be one", async () => {
  await using vault = await openVault();
  const { token } = await vault.begin({ length: 5 });
  await vault.uploads.append(token, 0, pieces(bytesOf(5, 5), 5), { lastByte: "by-length" });
  const { end } = UploadRows.prototype;
  jest.spyOn(UploadRows.prototype, "end").mockImplementationOnce(async function (this: UploadRows, ...args) {
    await vault.uploads.finish(token);
    return end.apply(this, args);
  });
  await expect(vault.uploads.abandon(token)).rejects.toMatchObject({ code: "UPLOAD_ALREADY_FINISHED" });
});

test("an upload that many want to finish at once is made a file once", async () => {
  await using vault = await openVault();
  const { token } = await vault.begin({ length: 5 });
  await vault.uploads.append(token, 0, pieces(bytesOf(5, 6), 5), { lastByte: "by-length" });
  const finish = jest.spyOn(FileRows.prototype, "finish");
  const files = await Promise.all(Array.from({ length: 5 }, () => vault.uploads.finish(token)));
  expect(new Set(files.map(({ hash }) => hash)).size).toBe(1);
  expect(finish).toHaveBeenCalledTimes(1);
});

test("an upload that is taken over while it is made a file is made one under the lease it has then, whoever waits for that", async () => {
  await using vault = await openVault();
  const { token } = await vault.begin({ length: 5 });
  await vault.uploads.append(token, 0, pieces(bytesOf(5, 6), 5), { lastByte: "by-length" });
  const { finish } = FileRows.prototype;
  let other: Promise<StoredFile> | undefined;
  jest.spyOn(FileRows.prototype, "finish").mockImplementationOnce(async function (this: FileRows, what) {
    await vault.sql("update uploads set lease = lease + 1");
    other = vault.uploads.finish(token); // under the new lease from the beginning, and joins the one under way
    await sleep(100);
    return finish.call(this, what);
  });
  const one = await vault.uploads.finish(token);
  expect(await other).toEqual(one);
});

test("a tail is not read before there is memory for it", async () => {
  await using vault = await openVault({ memoryBytes: 64 * 1024 });
  const { token } = await vault.begin({ length: 900, chunkBytes: CHUNK_BYTES });
  await vault.uploads.append(token, 0, pieces(bytesOf(300, 7), 300), { lastByte: "by-length" });
  const giveBack = await vault.holdMemory(vault.budget.total);
  const rest = vault.uploads.append(token, 300, pieces(bytesOf(600, 8), 600), { lastByte: "by-length" });
  await vault.settled();
  expect(vault.calls("get")).toBe(0);
  giveBack();
  expect(await rest).toBe(900);
  expect(vault.budget.free).toBe(vault.budget.total);
});

/** A whole that has been begun of one part. */
async function wholeOf(vault: Vault, bytes: number) {
  const plain = bytesOf(bytes, 9);
  const terms = { expiresInSeconds: null, maxDownloads: null };
  const what = { name: "", mediaType: "", chunkBytes: CHUNK_BYTES, terms };
  const part = await vault.uploads.begin(
    { ...what, password: null, length: bytes, facts: { uploadConcat: "partial" } },
    vault.caller,
  );
  await vault.uploads.append(part.token, 0, pieces(plain, 700), { lastByte: "by-length" });
  const concatenations = new Concatenations(vault.uploads, silent);
  const { token } = await concatenations.begin([part.token], { ...what, password: PASSWORD }, vault.caller);
  return { concatenations, token, part: part.token, plain };
}

describe("a whole", () => {
  test("of which a part is gone before its bytes were taken is dropped", async () => {
    await using vault = await openVault();
    const { concatenations, token, part } = await wholeOf(vault, 5000);
    await vault.uploads.abandon(part);
    await expect(concatenations.proceed(token)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await vault.uploads.look(token)).toMatchObject({ stage: "abandoned" });
  });

  test("that has all bytes needs its parts no more", async () => {
    await using vault = await openVault();
    const { concatenations, token, part, plain } = await wholeOf(vault, 5000);
    jest.spyOn(FileRows.prototype, "finish").mockRejectedValueOnce(new Error("the database is away"));
    await expect(concatenations.proceed(token)).rejects.toThrow("away");
    await vault.uploads.abandon(part);
    const { hash } = await concatenations.proceed(token);
    expect(await vault.read(hash, PASSWORD)).toEqual(plain);
  });

  test("keeps its parts again and again while it is made", async () => {
    await using vault = await openVault();
    const { concatenations, token, part } = await wholeOf(vault, 20 * PLAIN_PER_CHUNK);
    jest.useFakeTimers({ doNotFake: ALL_BUT_INTERVALS });
    for (const bucket of vault.faulty) bucket.stall("get");
    const making = concatenations.proceed(token);
    await until(async () => (await vault.uploads.find(token)).lease > 0);
    const kept = async () => (await vault.uploads.find(part)).expiresAt.getTime();
    for (let hour = 0; hour < 3; hour++) {
      const before = await kept();
      jest.advanceTimersByTime(HOUR_MS);
      await until(async () => (await kept()) > before);
    }
    for (const bucket of vault.faulty) bucket.heal();
    expect((await making).plainBytes).toBe(20 * PLAIN_PER_CHUNK);
  });
});

describe("work that reads an upload and writes another, when others have all memory", () => {
  /** Room for what is read, and none for what is to be written. */
  async function withoutMemory(vault: Vault, work: () => Promise<unknown>) {
    const giveBack = await vault.holdMemory(vault.budget.total - 2 * CHUNK_BYTES);
    await expect(work()).rejects.toMatchObject({ code: "BUSY" });
    giveBack();
    expect(vault.budget.free).toBe(vault.budget.total);
  }

  test("lets go of it: a whole is made later", async () => {
    await using vault = await openVault({ memoryBytes: 64 * 1024, idleGraceMs: 50 });
    const { concatenations, token, plain } = await wholeOf(vault, 5 * PLAIN_PER_CHUNK);
    await withoutMemory(vault, () => concatenations.proceed(token));
    const { hash } = await concatenations.proceed(token);
    expect(await vault.read(hash, PASSWORD)).toEqual(plain);
  });

  test("lets go of it: a file that was to be cut anew is refused", async () => {
    await using vault = await openVault({ memoryBytes: 64 * 1024, idleGraceMs: 50 });
    const { token } = await vault.begin({ length: 5000, chunkBytes: CHUNK_BYTES });
    await vault.uploads.append(token, 0, pieces(bytesOf(5000, 10), 700), { lastByte: "by-length" });
    const never = new AbortController().signal;
    await withoutMemory(vault, () =>
      recut(vault.uploads, { token, chunkBytes: 4 * CHUNK_BYTES }, vault.caller, never),
    );
  });
});

test("an append that is all or nothing may bring no more than its rows have room for", async () => {
  await using vault = await openVault();
  const plain = bytesOf(4097 * PLAIN_PER_CHUNK, 11);
  for (const announcedBytes of [plain.length, undefined]) {
    const { token } = await vault.begin({ length: plain.length, chunkBytes: CHUNK_BYTES });
    const verify = jest.fn();
    const source = pieces(plain, 65_536);
    await expect(
      vault.uploads.append(token, 0, source, { lastByte: "by-length", verify, announcedBytes }),
    ).rejects.toMatchObject({ code: "CHECKSUM_TOO_LARGE", facts: { max: 4096 * PLAIN_PER_CHUNK } });
    expect(await vault.uploads.find(token)).toMatchObject({ offset: 0, tail: null });
  }
});

test("never uses one nonce twice under one key, whatever ends its appends, however often the same bytes are sealed again", async () => {
  await using vault = await openVault({ parity: "default" });
  const nonces = vault.countNonces();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 4000 }), end: END }), { minLength: 5 }),
      async steps => {
        const length = 40_000;
        const { token } = await vault.begin({ length, chunkBytes: CHUNK_BYTES });
        let seed = 0;
        const append = async (bytes: number, options: { breaks?: boolean; verify?: () => void } = {}) => {
          const { offset } = await vault.uploads.find(token);
          const plain = bytesOf(Math.min(bytes, length - offset), seed++); // other bytes each time
          const source = options.breaks ? breaking(plain) : pieces(plain, 300);
          const { verify } = options;
          await vault.uploads.append(token, offset, source, { lastByte: "by-length", verify });
        };
        for (const { bytes, end } of steps) {
          const work = {
            whole: () => append(bytes),
            cut: () => append(bytes, { breaks: true }),
            refused: () => append(bytes, { verify: refused }),
            raced: () => Promise.all([append(bytes), append(bytes)]),
          }[end];
          await work().catch(() => {});
        }
        await vault.uploads.abandon(token).catch(() => {});
      },
    ),
    { numRuns: 15 },
  );
  expect(nonces.seen).toBeGreaterThan(200);
  expect(nonces.repeated).toEqual([]);
});

test("a request with another checksum, or one that is cut, leaves nothing behind, whatever it had stored", async () => {
  await using vault = await openVault({ parity: "default" });
  const { token } = await vault.begin({ length: 9000, chunkBytes: CHUNK_BYTES });
  await vault.uploads.append(token, 0, pieces(bytesOf(1500, 12), 500), { lastByte: "by-length" });
  await vault.sweep();
  const before = await vault.objects();
  const bad = pieces(bytesOf(6000, 13), 500);
  await expect(
    vault.uploads.append(token, 1500, bad, { lastByte: "by-length", verify: refused }),
  ).rejects.toThrow("another");
  const cut = breaking(bytesOf(6000, 14));
  await expect(
    vault.uploads.append(token, 1500, cut, { lastByte: "by-length", verify: () => {} }),
  ).rejects.toThrow("cut");
  expect((await vault.objects()).length).toBeGreaterThan(before.length + 10);
  expect(await vault.uploads.find(token)).toMatchObject({ offset: 1500 });
  await vault.uploads.append(token, 1500, nothing(), { lastByte: "by-length" }); // a lease of its own: theirs is over
  await vault.sweep();
  expect((await vault.objects()).sort()).toEqual(before.sort());
  expect(await vault.count("select count(*) from pending_objects", [])).toBe(0);
});

function refused(): void {
  throw new Error("another checksum");
}

async function* breaking(plain: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* pieces(plain, 300);
  throw new Error("cut");
}
