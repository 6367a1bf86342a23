import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { Registry } from "prom-client";
import { DEFAULT_POLICY, openBuckets } from "../../src/buckets/open.js";
import { parseBucketUrls } from "../../src/buckets/spec.js";
import { bucketContract, failing, newKey } from "../contracts/bucket.js";
import { GcsDouble } from "../support/gcs-double.js";

describe("parseBucketUrls", () => {
  test("reads names, paths, regions and domains", () => {
    const text =
      "gs://my-bucket_1.eu?region=europe-west1&domain=google, file:///srv/a%2Cb/?domain=disk-1,file:///srv/c";
    expect(parseBucketUrls(text)).toEqual([
      {
        name: "gs://my-bucket_1.eu",
        provider: "gcs",
        target: "my-bucket_1.eu",
        region: "europe-west1",
        domain: "google",
      },
      { name: "file:///srv/a%2Cb", provider: "disk", target: "/srv/a,b", region: null, domain: "disk-1" },
      { name: "file:///srv/c", provider: "disk", target: "/srv/c", region: null, domain: null },
    ]);
  });

  test.each([
    ["", "expected gs://name or file:///absolute/path"],
    ["my-bucket", "expected gs://name or file:///absolute/path"],
    ["s3://bucket", "unknown provider s3:"],
    ["gs://bucket/folder", "a path inside a bucket is not supported"],
    ["gs://ab", "not a bucket name"],
    ["gs://My-Bucket", "not a bucket name"],
    ["gs://user:secret@bucket", "only a name or a path"],
    ["gs://bucket#x", "only a name or a path"],
    ["file://relative/path", "three slashes"],
    ["file:///", "the root of the file system"],
    ["file:///a%2F..%2Fb", "file:///a%2F..%2Fb"],
    ["gs://bucket?zone=a", 'unknown option "zone"; allowed: region, domain'],
    ["gs://bucket?region=", "option region: 1 to 63 letters"],
    ["gs://bucket?region=a&region=b", "option region is given twice"],
    ["gs://bucket,gs://bucket?region=eu", "bucket gs://bucket is named twice"],
    ["file:///a,file:///a/", "bucket file:///a is named twice"],
    ["file:///a,file:///b/../a", "bucket file:///a is named twice"],
  ])("refuses %j and says %j", (text, message) => {
    expect(() => parseBucketUrls(text)).toThrow(message);
  });

  test("says everything that is wrong at once", () => {
    expect(() => parseBucketUrls("gs://ab,s3://b,gs://fine")).toThrow(/not a bucket name.*unknown provider/s);
  });
});

describe("openBuckets", () => {
  let folder: string;
  let double: GcsDouble;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "open-buckets-"));
    double = await GcsDouble.start({ buckets: ["first", "second"] });
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
    await double.close();
  });

  const quick = { ...DEFAULT_POLICY, deadline: { baseMs: 3000, perMiBMs: 0 } };
  const options = () => ({ registry: new Registry(), gcsEndpoint: double.endpoint, policy: quick });

  test("opens buckets of every provider, and learns a region that was not given", async () => {
    const disk = pathToFileURL(join(folder, "a")).href;
    const specs = parseBucketUrls(`${disk},gs://first,gs://second?region=us`);
    const opened = await openBuckets(specs, { ...options(), policy: DEFAULT_POLICY });
    expect(opened.map(({ spec }) => spec.region)).toEqual([null, "europe-west1", "us"]);
    for (const { bucket, spec, problem } of opened) {
      const key = newKey();
      await bucket.put(key, Uint8Array.of(1));
      expect(await bucket.get(key)).toEqual(Uint8Array.of(1));
      expect(bucket.name).toBe(spec.name);
      expect(problem).toBeNull();
    }
  });

  test("starts in spite of buckets that are away, says so, and uses them when they are back", async () => {
    await writeFile(join(folder, "file"), "");
    const disk = pathToFileURL(join(folder, "file", "b")).href;
    double.plan("bucket", { kind: "stall-headers" }, { times: 1 });
    const opened = await openBuckets(parseBucketUrls(`gs://first,gs://none,${disk}`), options());
    expect(opened.map(({ problem }) => problem?.failure)).toEqual(["unavailable", "denied", "unavailable"]);
    await opened[0]?.bucket.put(newKey(), Uint8Array.of(1));
    await expect(opened[1]?.bucket.put(newKey(), Uint8Array.of(1))).rejects.toMatchObject(failing("denied"));
  });

  test("does not let a folder that hangs keep the threads of all", async () => {
    const [a, b] = ["a", "b"].map(name => join(folder, name)) as [string, string];
    const urls = [a, b].map(path => pathToFileURL(path).href).join(",");
    const [hung, sound] = await openBuckets(parseBucketUrls(urls), options());
    const keys = Array.from({ length: 20 }, newKey);
    const pipes = keys.map(key => join(a, key.slice(0, 2), key));
    for (const pipe of pipes) execFileSync("mkfifo", [pipe]); // opening it waits for a writer, in a thread
    try {
      const gets = Promise.allSettled(keys.map(key => hung?.bucket.get(key)));
      await sleep(100);
      await sound?.bucket.put(newKey(), Uint8Array.of(1));
      expect((await gets).map(({ status }) => status)).not.toContain("fulfilled");
      await sound?.bucket.put(newKey(), Uint8Array.of(1));
    } finally {
      const held = pipes.map(pipe => openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK));
      await sleep(100);
      for (const fd of held) closeSync(fd);
    }
  });

  test("ends attempts at the deadline, tries again, and counts each", async () => {
    const registry = new Registry();
    const specs = parseBucketUrls("gs://first?region=eu");
    const [opened] = await openBuckets(specs, { ...options(), registry });
    double.plan("insert", { kind: "stall-headers" }, { times: 1 });
    double.plan("insert", { kind: "reset", isDone: true }, { times: 1 });
    await opened?.bucket.put(newKey(), Uint8Array.of(1));
    const text = await registry.metrics();
    const label = 'scattervault_bucket_attempts_total{bucket="gs://first",operation="put"';
    expect(text).toContain(`${label},outcome="unavailable"} 2`);
    expect(text).toContain(`${label},outcome="ok"} 1`);
  });
});

bucketContract("a bucket of openBuckets()", async () => {
  const folder = await mkdtemp(join(tmpdir(), "open-buckets-"));
  const specs = parseBucketUrls(pathToFileURL(folder).href);
  const [opened] = await openBuckets(specs, { registry: new Registry() });
  if (!opened) throw new Error("nothing opened");
  return { bucket: opened.bucket, close: () => rm(folder, { recursive: true, force: true }) };
});
