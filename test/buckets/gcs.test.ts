/** The adapter against every fault the double knows, and against the five defects of Google's own client. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { withDeadline } from "../../src/buckets/deadline.js";
import { GcsBucket } from "../../src/buckets/gcs.js";
import { GcsClient } from "../../src/buckets/gcs-client.js";
import { retrying } from "../../src/buckets/retry.js";
import type { BucketFailure } from "../../src/core/errors.js";
import type { Bucket } from "../../src/core/ports.js";
import { bucketContract, failing, newKey } from "../contracts/bucket.js";
import type { Fault } from "../support/gcs-double.js";
import { GcsDouble } from "../support/gcs-double.js";

async function openDouble() {
  const double = await GcsDouble.start({ buckets: ["b"], pageEntries: 3 });
  const bucket = new GcsBucket(GcsClient.emulator(double.endpoint), "b");
  return { double, bucket, close: () => double.close() };
}

bucketContract("GcsBucket", openDouble, { listCount: 20 });

const BYTES = Buffer.from("the bytes of an object");
const MIB = 1 << 20;

let double: GcsDouble;
let bucket: Bucket;
let close: () => Promise<void>;

beforeEach(async () => {
  ({ double, bucket, close } = await openDouble());
});
afterEach(() => close());

async function stored(bytes: Uint8Array = BYTES): Promise<string> {
  const key = newKey();
  await bucket.put(key, bytes);
  return key;
}

async function expectNothingUnderWay(): Promise<void> {
  for (let tries = 0; tries < 100 && double.underWay > 0; tries++) await sleep(10);
  expect(double.underWay).toBe(0);
}

function patient(inner: Bucket): Bucket {
  return retrying(inner, { attempts: 3, baseDelayMs: 1, maxDelayMs: 2 });
}

describe("the five defects of Google's client do not reach us", () => {
  test.each([429, 500, 503])(
    "A: %d on a media get is a clean failure, and the process lives",
    async status => {
      const key = await stored();
      double.plan("media", { kind: "status", status }, { times: 2 });
      await expect(bucket.get(key)).rejects.toMatchObject(failing("unavailable"));
      expect(await patient(bucket).get(key)).toEqual(Uint8Array.from(BYTES));
    },
  );

  const LARGE = new Uint8Array(4 * MIB).fill(7);
  const traffic = (key: string) =>
    [1, 2, 3, 4].flatMap(() => [bucket.get(key), bucket.put(newKey(), LARGE), bucket.list()]);

  test("B: a download that is cut breaks no other request under way", async () => {
    const key = await stored(LARGE);
    double.plan("media", { kind: "cut-body", afterBytes: MIB }, { skip: 2, times: 1 });
    const results = await Promise.allSettled(traffic(key));
    expect(results.filter(({ status }) => status === "rejected")).toHaveLength(1);
  });

  test("B: a download that its reader gives up breaks no other request under way", async () => {
    const key = await stored(LARGE);
    double.plan("media", { kind: "stall-body", afterBytes: MIB }, { times: 1 });
    const reader = new AbortController();
    const broken = bucket.get(key, undefined, reader.signal);
    while (double.underWay === 0) await sleep(1);
    const others = traffic(key);
    setTimeout(() => reader.abort(new Error("stop")), 20);
    await expect(broken).rejects.toThrow("stop");
    for (const result of await Promise.allSettled(others)) expect(result.status).toBe("fulfilled");
  });

  test.each<[string, Fault]>([
    ["headers", { kind: "stall-headers" }],
    ["body", { kind: "stall-body", afterBytes: 5 }],
  ])("C: stalled %s end at our deadline, and the socket is closed", async (_, fault) => {
    const key = await stored();
    double.plan("any", fault);
    const hurried = withDeadline(bucket, { baseMs: 100, perMiBMs: 0 });
    const before = performance.now();
    await expect(hurried.get(key)).rejects.toMatchObject(failing("unavailable"));
    await expect(hurried.put(newKey(), BYTES)).rejects.toMatchObject(failing("unavailable"));
    await expect(hurried.list()).rejects.toMatchObject(failing("unavailable"));
    expect(performance.now() - before).toBeLessThan(20_000);
    await expectNothingUnderWay();
  });

  test("D: an abort before the response arrives is clean, and the socket is closed", async () => {
    const key = await stored();
    double.plan("any", { kind: "stall-headers" });
    const reason = new Error("the reader left");
    const reader = new AbortController();
    const get = bucket.get(key, undefined, reader.signal);
    const put = bucket.put(newKey(), BYTES, reader.signal);
    setTimeout(() => reader.abort(reason), 50);
    await expect(get).rejects.toBe(reason);
    await expect(put).rejects.toBe(reason);
    await expectNothingUnderWay();
  });

  test("E: a wrong crc32c in an upload's answer never deletes the object; the next try finds it right", async () => {
    const key = newKey();
    double.plan("insert", { kind: "wrong-crc" }, { times: 1 });
    await expect(bucket.put(key, BYTES)).rejects.toMatchObject(failing("unavailable"));
    expect(double.stored("b", key)).toEqual(BYTES);
    await bucket.put(key, BYTES);
    expect(await bucket.get(key)).toEqual(Uint8Array.from(BYTES));
    expect(double.requests.filter(({ kind }) => kind === "delete")).toEqual([]);
  });
});

describe("GcsBucket", () => {
  test("sends the checksum with the bytes, and only creates", async () => {
    const key = await stored(Buffer.from("123456789"));
    const [request] = double.requests;
    expect(request?.url).toBe(
      `/upload/storage/v1/b/b/o?uploadType=media&name=${key}&ifGenerationMatch=0&fields=size%2Ccrc32c`,
    );
    expect(request?.headers["x-goog-hash"]).toBe("crc32c=4waSgw=="); // E3069283, the check value of CRC-32C
    expect(request?.headers["content-length"]).toBe("9");
  });

  test.each<[string, Fault]>([
    ["503 before it is stored", { kind: "status", status: 503 }],
    ["503 after it is stored", { kind: "status", status: 503, isDone: true }],
    ["429", { kind: "status", status: 429, reason: "rateLimitExceeded" }],
    ["408", { kind: "status", status: 408 }],
    ["403 for the rate", { kind: "status", status: 403, reason: "rateLimitExceeded" }],
    ["400, bytes damaged on the way", { kind: "status", status: 400, reason: "invalid" }],
    ["a reset before", { kind: "reset" }],
    ["a lost answer", { kind: "reset", isDone: true }],
    ["an answer cut short", { kind: "cut-body", afterBytes: 10 }],
  ])("puts in spite of %s", async (_, fault) => {
    const key = newKey();
    double.plan("insert", fault, { times: 2 });
    await expect(bucket.put(key, BYTES)).rejects.toMatchObject(failing("unavailable"));
    await patient(bucket).put(key, BYTES);
    expect(double.stored("b", key)).toEqual(BYTES);
  });

  test.each<[string, Fault]>([
    ["503", { kind: "status", status: 503 }],
    ["a reset", { kind: "reset" }],
    ["a body cut in the middle", { kind: "cut-body", afterBytes: 7 }],
    ["a flipped byte", { kind: "flip-byte", index: 3 }],
    ["a wrong checksum", { kind: "wrong-crc" }],
  ])("gets in spite of %s", async (_, fault) => {
    const key = await stored();
    double.plan("media", fault, { times: 2 });
    await expect(bucket.get(key)).rejects.toMatchObject(failing("unavailable"));
    expect(await patient(bucket).get(key)).toEqual(Uint8Array.from(BYTES));
  });

  test.each<[string, Fault]>([
    ["503 before", { kind: "status", status: 503 }],
    ["503 after", { kind: "status", status: 503, isDone: true }],
    ["a lost answer", { kind: "reset", isDone: true }],
  ])("deletes in spite of %s", async (_, fault) => {
    const key = await stored();
    double.plan("delete", fault, { times: 1 });
    await patient(bucket).delete(key);
    expect(double.stored("b", key)).toBeUndefined();
  });

  test.each<[number, string, BucketFailure]>([
    [401, "authError", "denied"],
    [403, "forbidden", "denied"],
    [400, "invalid", "denied"],
    [507, "insufficientStorage", "full"],
    [500, "backendError", "unavailable"],
  ])("takes %d %s for %s", async (status, reason, failure) => {
    double.plan("any", { kind: "status", status, reason });
    await expect(bucket.list()).rejects.toMatchObject(failing(failure));
  });

  test("says denied, not absent, of everything in a bucket that is not there", async () => {
    const key = await stored();
    double.removeBucket("b");
    await expect(bucket.get(key)).rejects.toMatchObject(failing("denied"));
    await expect(bucket.put(key, BYTES)).rejects.toMatchObject(failing("denied"));
    await expect(bucket.delete(key)).rejects.toMatchObject(failing("denied"));
    await expect(bucket.list()).rejects.toMatchObject(failing("denied"));
  });

  test("does not say absent when it cannot tell", async () => {
    double.plan("list", { kind: "status", status: 503 });
    await expect(bucket.get(newKey())).rejects.toMatchObject(failing("unavailable"));
  });

  test("follows no redirect", async () => {
    const other = await GcsDouble.start({ buckets: ["b"] });
    const location = `${other.endpoint}/storage/v1/b/b/o`;
    double.plan("any", { kind: "status", status: 302, headers: { location } });
    await expect(bucket.list()).rejects.toMatchObject(failing("denied"));
    await expect(bucket.put(newKey(), BYTES)).rejects.toMatchObject(failing("denied"));
    expect(other.requests).toEqual([]);
    await other.close();
  });

  test("carries how long the provider asks to be left alone", async () => {
    double.plan("any", { kind: "status", status: 503, headers: { "retry-after": "2" } });
    await expect(bucket.get(newKey())).rejects.toMatchObject({ failure: "unavailable", retryAfterMs: 2000 });
  });

  test("does not believe a range that was not asked for", async () => {
    const key = await stored();
    double.plan(
      "media",
      { kind: "status", status: 206, headers: { "content-range": "bytes 5-9/22" } },
      { times: 1 },
    );
    await expect(bucket.get(key, { first: 0, last: 9 })).rejects.toMatchObject(failing("unavailable"));
  });

  test("passes over names in the bucket that are not keys, page by page", async () => {
    const sdk = `${double.endpoint}/upload/storage/v1/b/b/o?uploadType=media&name=`;
    for (const name of ["!1", "!2", "!3", "!4", "README", "zzz", "a/b"])
      await fetch(sdk + name, { method: "POST", body: "x" });
    const keys = [await stored(), await stored()].sort();
    const listed: string[] = [];
    for (
      let page = await bucket.list();
      page.length > 0;
      page = await bucket.list({ after: listed.at(-1) ?? null })
    ) {
      listed.push(...page);
    }
    expect(listed).toEqual(keys);
  });

  test("is unavailable when nothing listens", async () => {
    await close();
    await expect(bucket.get(newKey())).rejects.toMatchObject(failing("unavailable"));
  });
});

describe("GcsClient", () => {
  const authorized = async () => new Headers({ authorization: "Bearer t" });

  test("sends credentials where it has them, and none to an emulator", async () => {
    const guarded = await GcsDouble.start({ buckets: ["b"], token: "t" });
    await new GcsBucket(GcsClient.emulator(guarded.endpoint, authorized), "b").put(newKey(), BYTES);
    const anonymous = new GcsBucket(GcsClient.emulator(guarded.endpoint), "b");
    await expect(anonymous.put(newKey(), BYTES)).rejects.toMatchObject(failing("denied"));
    expect(guarded.requests.at(-1)?.headers.authorization).toBeUndefined();
    await guarded.close();
  });

  test.each<[string, unknown, BucketFailure]>([
    ["refused", Object.assign(new Error("invalid_grant"), { status: 400 }), "denied"],
    ["not to be had now", Object.assign(new Error("try later"), { status: 503 }), "unavailable"],
    [
      "out of reach",
      Object.assign(new Error("metadata.google.internal"), { code: "ENOTFOUND" }),
      "unavailable",
    ],
  ])("says what it means that the token is %s", async (_, error, failure) => {
    const client = GcsClient.emulator(double.endpoint, () => Promise.reject(error));
    await expect(new GcsBucket(client, "b").list()).rejects.toMatchObject(failing(failure));
    expect(double.requests).toEqual([]);
  });

  test("does not wait for a token longer than its caller", async () => {
    const client = GcsClient.emulator(double.endpoint, () => new Promise(() => {}));
    const hurried = withDeadline(new GcsBucket(client, "b"), { baseMs: 50, perMiBMs: 0 });
    await expect(hurried.list()).rejects.toMatchObject(failing("unavailable"));
  });

  test("knows where a bucket is, or why it cannot know", async () => {
    const client = GcsClient.emulator(double.endpoint);
    const { signal } = new AbortController();
    expect(await client.location("b", signal)).toBe("europe-west1");
    await expect(client.location("other", signal)).rejects.toMatchObject(failing("denied"));
    double.plan("bucket", { kind: "status", status: 503 });
    await expect(client.location("b", signal)).rejects.toMatchObject(failing("unavailable"));
  });
});
