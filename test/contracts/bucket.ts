/**
 * What every Bucket must do, whoever implements or wraps it (`core/ports.ts`). A store that passes this suite can hold
 * chunks; a test file of an adapter names the suite and adds only what is special there.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { BucketFailure } from "../../src/core/errors.js";
import type { ObjectKey } from "../../src/core/model.js";
import type { Bucket, KeyRange } from "../../src/core/ports.js";

export interface OpenedForTest {
  readonly bucket: Bucket;
  close?(): Promise<void>;
}

export interface BucketContractOptions {
  /** How many objects the paging test makes: more than one page of this bucket. */
  readonly listCount?: number;
  /** Also moves one object of 64 MiB, the largest chunk there is. */
  readonly isLargeTested?: boolean;
}

export function newKey(): ObjectKey {
  return randomBytes(16).toString("hex");
}

/** For `rejects.toMatchObject`. */
export function failing(failure: BucketFailure): { name: string; failure: BucketFailure } {
  return { name: "BucketError", failure };
}

export function bucketContract(
  name: string,
  open: () => Promise<OpenedForTest>,
  { listCount = 1100, isLargeTested = false }: BucketContractOptions = {},
): void {
  describe(`${name} keeps the bucket contract`, () => {
    let opened: OpenedForTest;
    let bucket: Bucket;

    beforeAll(async () => {
      opened = await open();
      bucket = opened.bucket;
    });
    afterAll(() => opened.close?.());

    async function stored(bytes: Uint8Array): Promise<ObjectKey> {
      const key = newKey();
      await bucket.put(key, bytes);
      return key;
    }

    test("gives back what was put, every byte value of it", async () => {
      const bytes = new Uint8Array(1024).map((_, i) => i);
      const key = await stored(bytes);
      expect(await bucket.get(key)).toEqual(bytes);
    });

    test("has null for a key that was never put", async () => {
      expect(await bucket.get(newKey())).toBeNull();
      expect(await bucket.get(newKey(), { first: 0, last: 9 })).toBeNull();
    });

    test.each([
      // first  last   bytes                 why
      [0, 0, [0], "the first byte"],
      [0, 9, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "the whole"],
      [3, 5, [3, 4, 5], "both ends are inclusive"],
      [9, 9, [9], "the last byte"],
      [7, 99, [7, 8, 9], "an object shorter than the range gives what there is"],
      [10, 20, [], "nothing lies behind the end"],
    ])("reads bytes %d-%d of ten as %j: %s", async (first, last, expected) => {
      const key = await stored(Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
      expect(await bucket.get(key, { first, last })).toEqual(Uint8Array.from(expected));
    });

    test("holds an object of no bytes", async () => {
      const key = await stored(new Uint8Array());
      expect(await bucket.get(key)).toEqual(new Uint8Array());
      expect(await bucket.get(key, { first: 0, last: 0 })).toEqual(new Uint8Array());
    });

    test("gives bytes that own their memory, so that they can be detached", async () => {
      const key = await stored(Uint8Array.of(1, 2, 3));
      for (const range of [undefined, { first: 1, last: 1 }, { first: 2, last: 9 }]) {
        const bytes = await bucket.get(key, range);
        expect(bytes?.buffer.byteLength).toBe(bytes?.byteLength);
      }
    });

    test("keeps its own copy: later changes to either side's bytes do not reach it", async () => {
      const bytes = Buffer.from("abc");
      const key = await stored(bytes);
      bytes.fill(0);
      (await bucket.get(key))?.fill(0);
      expect(await bucket.get(key)).toEqual(Uint8Array.from(Buffer.from("abc")));
    });

    test("stores a part of a larger buffer as that part", async () => {
      const key = await stored(Uint8Array.of(1, 2, 3, 4).subarray(1, 3));
      expect(await bucket.get(key)).toEqual(Uint8Array.of(2, 3));
    });

    test("takes the same bytes again", async () => {
      const key = await stored(Uint8Array.of(1, 2, 3));
      await bucket.put(key, Uint8Array.of(1, 2, 3));
      expect(await bucket.get(key)).toEqual(Uint8Array.of(1, 2, 3));
    });

    test.each([
      ["of the same length", Uint8Array.of(9, 9, 9)],
      ["shorter", Uint8Array.of(1, 2)],
      ["longer", Uint8Array.of(1, 2, 3, 4)],
      ["none", new Uint8Array()],
    ])("refuses other bytes (%s) under a taken key and keeps the old ones", async (_, other) => {
      const key = await stored(Uint8Array.of(1, 2, 3));
      await expect(bucket.put(key, other)).rejects.toMatchObject(failing("conflict"));
      expect(await bucket.get(key)).toEqual(Uint8Array.of(1, 2, 3));
    });

    test("lets exactly one of many put to one key at once win", async () => {
      const key = newKey();
      const offers = Array.from({ length: 8 }, (_, i) => new Uint8Array(5000).fill(i));
      const results = await Promise.allSettled(offers.map(bytes => bucket.put(key, bytes)));
      const winners = offers.filter((_, i) => results[i]?.status === "fulfilled");
      expect(winners).toHaveLength(1);
      expect(await bucket.get(key)).toEqual(winners[0]);
      for (const result of results) {
        if (result.status === "rejected") expect(result.reason).toMatchObject(failing("conflict"));
      }
    });

    test("takes the same bytes from many at once", async () => {
      const key = newKey();
      const bytes = new Uint8Array(5000).fill(7);
      await Promise.all(Array.from({ length: 8 }, () => bucket.put(key, bytes)));
      expect(await bucket.get(key)).toEqual(bytes);
    });

    test("deletes, and finds nothing wrong with deleting again", async () => {
      const key = await stored(Uint8Array.of(1));
      await bucket.delete(key);
      expect(await bucket.get(key)).toBeNull();
      await bucket.delete(key);
      await bucket.put(key, Uint8Array.of(2));
      expect(await bucket.get(key)).toEqual(Uint8Array.of(2));
    });

    test("asserts that keys are keys", async () => {
      const nul = `${"0".repeat(31)}\0`;
      for (const key of [
        "",
        "../../../etc/passwd",
        nul,
        "A".repeat(32),
        "0".repeat(33),
        `..%2f${"0".repeat(27)}`,
      ]) {
        await expect(bucket.put(key, Uint8Array.of(1))).rejects.toThrow("not an object key");
        await expect(bucket.get(key)).rejects.toThrow("not an object key");
        await expect(bucket.delete(key)).rejects.toThrow("not an object key");
        await expect(bucket.list({ after: key })).rejects.toThrow("not an object key");
      }
    });

    test("asserts that ranges are ranges", async () => {
      for (const [first, last] of [
        [-1, 0],
        [1, 0],
        [0.5, 1],
        [0, Infinity],
      ] as const) {
        await expect(bucket.get(newKey(), { first, last })).rejects.toThrow("not a byte range");
      }
    });

    test("rejects with the reason of a signal that is aborted, before or during, and does nothing before", async () => {
      const reason = new Error("the caller went away");
      const aborted = AbortSignal.abort(reason);
      const key = newKey();
      await expect(bucket.put(key, Uint8Array.of(1), aborted)).rejects.toBe(reason);
      await expect(bucket.get(key, undefined, aborted)).rejects.toBe(reason);
      await expect(bucket.delete(key, aborted)).rejects.toBe(reason);
      await expect(bucket.list({}, aborted)).rejects.toBe(reason);
      expect(await bucket.get(key)).toBeNull();

      const during = new AbortController();
      const put = bucket.put(key, new Uint8Array(1 << 20), during.signal).catch((error: unknown) => error);
      during.abort(reason);
      expect([undefined, reason]).toContain(await put); // whichever came first, and never another error
      const after = await bucket.get(key);
      expect([undefined, 1 << 20]).toContain(after?.byteLength); // whole or not at all
    });

    test("lists every key once, in order, page by page", async () => {
      const fresh = await open();
      try {
        expect(await fresh.bucket.list()).toEqual([]);
        const keys = Array.from({ length: listCount }, newKey);
        const queue = [...keys];
        const work = async () => {
          for (let key = queue.pop(); key; key = queue.pop()) await fresh.bucket.put(key, Uint8Array.of(1));
        };
        await Promise.all(Array.from({ length: 8 }, work));
        expect(await allKeys(fresh.bucket)).toEqual(keys.sort());
        expect(await fresh.bucket.list({ after: "f".repeat(32) })).toEqual([]);
        for (const prefix of [keys[0]?.slice(0, 16) ?? "", keys[1]?.slice(0, 1) ?? "", keys[2] ?? ""]) {
          const begun = keys.filter(key => key.startsWith(prefix));
          expect(await allKeys(fresh.bucket, { prefix })).toEqual(begun);
          expect(await allKeys(fresh.bucket, { prefix, after: begun[0] ?? null })).toEqual(begun.slice(1));
        }
        await expect(fresh.bucket.list({ prefix: "../" })).rejects.toThrow("no object key begins with");
      } finally {
        await fresh.close?.();
      }
    });

    (isLargeTested ? test : test.skip)(
      "holds an object of 64 MiB, where it is asked of this bucket",
      async () => {
        const bytes = randomBytes(64 << 20);
        const key = await stored(bytes);
        const got = await bucket.get(key);
        expect(got && Buffer.compare(got, bytes)).toBe(0);
        const range = { first: (32 << 20) + 1, last: (33 << 20) + 7 };
        const part = await bucket.get(key, range);
        expect(part && Buffer.compare(part, bytes.subarray(range.first, range.last + 1))).toBe(0);
        await bucket.delete(key);
      },
    );
  });
}

/** A range, page by page. */
async function allKeys(bucket: Bucket, range: KeyRange = {}): Promise<readonly ObjectKey[]> {
  const listed: ObjectKey[] = [];
  for (let page = await bucket.list(range); page.length > 0; ) {
    expect(page.length).toBeLessThanOrEqual(1000);
    listed.push(...page);
    page = await bucket.list({ ...range, after: listed.at(-1) ?? null });
  }
  return listed;
}
