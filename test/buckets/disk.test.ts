/** What is special about folders: what the system refuses, what a crash leaves, and what is never made again. */
import { execFileSync } from "node:child_process";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { DiskBucket } from "../../src/buckets/disk.js";
import { bucketContract, failing, newKey } from "../contracts/bucket.js";

async function temporaryFolder(): Promise<string> {
  return await mkdtemp(join(tmpdir(), "disk-bucket-"));
}

async function openTemporary() {
  const folder = await temporaryFolder();
  const bucket = await DiskBucket.open("file:///a", folder);
  return { bucket, folder, close: () => rm(folder, { recursive: true, force: true }) };
}

bucketContract("DiskBucket", openTemporary, { isLargeTested: true });

/** All files below a folder, temp files too. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter(entry => entry.isFile()).map(entry => entry.name);
}

async function openHandleCount(): Promise<number> {
  return (await readdir("/proc/self/fd")).length;
}

const BYTES = Uint8Array.of(1, 2, 3);
const HOUR_MS = 3_600_000;

describe("DiskBucket", () => {
  let bucket: DiskBucket;
  let folder: string;
  let close: () => Promise<void>;

  beforeEach(async () => {
    ({ bucket, folder, close } = await openTemporary());
  });
  afterEach(() => close());

  test("keeps an object in one file, which only its owner may read, and nothing else", async () => {
    const key = newKey();
    await bucket.put(key, BYTES);
    await bucket.put(key, BYTES);
    await bucket.put(key, Uint8Array.of(9)).catch(() => {});
    expect(await filesIn(folder)).toEqual([key]);
    const path = join(folder, key.slice(0, 2), key);
    expect(Uint8Array.from(await readFile(path))).toEqual(BYTES);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, ".tmp"))).mode & 0o777).toBe(0o700);
  });

  test("makes the folder and all above it, and finds its objects when opened again", async () => {
    const deep = join(folder, "x", "y");
    const key = newKey();
    await (await DiskBucket.open("file:///b", deep)).put(key, BYTES);
    const again = await DiskBucket.open("file:///b", deep);
    expect(await again.get(key)).toEqual(BYTES);
  });

  test("can be opened by several replicas at once", async () => {
    const shared = join(folder, "shared");
    const replicas = await Promise.all([1, 2, 3].map(() => DiskBucket.open("file:///s", shared)));
    const key = newKey();
    await replicas[0]?.put(key, BYTES);
    expect(await replicas[2]?.get(key)).toEqual(BYTES);
  });

  test("removes at open what a crashed put left an hour ago, and nothing younger", async () => {
    const old = join(folder, ".tmp", "old");
    const young = join(folder, ".tmp", "young");
    await writeFile(old, "half an obj");
    await writeFile(young, "half an obj");
    const then = new Date(Date.now() - HOUR_MS - 1000);
    await utimes(old, then, then);
    await DiskBucket.open("file:///a", folder);
    expect(await filesIn(folder)).toEqual(["young"]);
  });

  test("leaves no temp file and no object of an aborted put", async () => {
    const controller = new AbortController();
    const put = bucket.put(newKey(), new Uint8Array(32 << 20), controller.signal);
    setTimeout(() => controller.abort(new Error("gone")), 1);
    await expect(put).rejects.toThrow("gone");
    expect(await filesIn(folder)).toEqual([]);
  });

  test("does not list temp files, nor files that are not ours", async () => {
    await writeFile(join(folder, ".tmp", newKey()), "");
    await writeFile(join(folder, "00", "README"), "");
    await writeFile(join(folder, "lost+found"), "");
    expect(await bucket.list()).toEqual([]);
  });

  test("pages through many keys of one subfolder", async () => {
    const keys = Array.from({ length: 2500 }, (_, i) => `ab${String(i).padStart(30, "0")}`);
    for (const key of keys) await writeFile(join(folder, "ab", key), "");
    const first = await bucket.list();
    const second = await bucket.list({ after: first.at(-1) ?? null });
    const third = await bucket.list({ after: second.at(-1) ?? null });
    expect([...first, ...second, ...third]).toEqual(keys);
    expect(first).toHaveLength(1000);
  });

  test("fails, rather than start afresh, when its folder has vanished", async () => {
    const key = newKey();
    await bucket.put(key, BYTES);
    await rename(folder, `${folder}.away`);
    const away = failing("unavailable");
    await expect(bucket.put(newKey(), BYTES)).rejects.toMatchObject(away);
    await expect(bucket.get(key)).rejects.toMatchObject(away);
    await expect(bucket.get(newKey(), { first: 0, last: 1 })).rejects.toMatchObject(away);
    await expect(bucket.delete(key)).rejects.toMatchObject(away);
    await expect(bucket.list()).rejects.toMatchObject(away);
    await expect(stat(folder)).rejects.toThrow("ENOENT");

    await mkdir(folder); // an unmounted disk leaves its mount point behind
    await expect(bucket.put(newKey(), BYTES)).rejects.toMatchObject(away);
    await expect(bucket.get(key)).rejects.toMatchObject(away);
    await expect(bucket.delete(key)).rejects.toMatchObject(away);
    await expect(bucket.list()).rejects.toMatchObject(away);
    expect(await readdir(folder)).toEqual([]);

    await rm(folder, { recursive: true });
    await rename(`${folder}.away`, folder);
    expect(await bucket.get(key)).toEqual(BYTES);
  });

  test("names bucket, operation, key and errno in a failure, and keeps the cause", async () => {
    const key = newKey();
    await rm(folder, { recursive: true });
    await expect(bucket.get(key)).rejects.toMatchObject({
      message: `file:///a: get ${key}: ENOENT`,
      cause: { code: "ENOENT" },
    });
  });

  test("never answers from outside its folder", async () => {
    await writeFile(`${folder}-secret`, "outside");
    for (const key of [`../${folder}-secret`, `00/../../${folder}-secret`, `${"0".repeat(32)}/../x`]) {
      await expect(bucket.get(key)).rejects.toThrow("not an object key");
      await expect(bucket.put(key, BYTES)).rejects.toThrow("not an object key");
      await expect(bucket.delete(key)).rejects.toThrow("not an object key");
    }
    expect(await readFile(`${folder}-secret`, "utf8")).toBe("outside");
    await rm(`${folder}-secret`);
  });

  test("gives an error, not an object, for a folder in an object's place", async () => {
    const key = newKey();
    await mkdir(join(folder, key.slice(0, 2), key));
    await expect(bucket.get(key)).rejects.toMatchObject(failing("unavailable"));
    await expect(bucket.put(key, BYTES)).rejects.toMatchObject({ name: "BucketError" });
  });

  test("holds no file open after successes and failures of every kind", async () => {
    const key = newKey();
    await bucket.put(key, BYTES);
    const before = await openHandleCount();
    await bucket.put(key, BYTES);
    await bucket.put(key, Uint8Array.of(9)).catch(() => {});
    await bucket.get(key, { first: 1, last: 100 });
    await bucket.get(newKey());
    await bucket.list();
    const controller = new AbortController();
    const put = bucket.put(newKey(), new Uint8Array(8 << 20), controller.signal);
    setTimeout(() => controller.abort(new Error("gone")), 1);
    await put.catch(() => {});
    await bucket.delete(key);
    await rename(folder, `${folder}.away`);
    for (const work of [bucket.put(key, BYTES), bucket.get(key), bucket.delete(key), bucket.list()]) {
      await work.catch(() => {});
    }
    await rename(`${folder}.away`, folder);
    expect(await openHandleCount()).toBe(before);
  });
});

const SCENARIOS = new URL("disk-scenarios.ts", import.meta.url).pathname;
const NODE = [process.execPath, "--experimental-transform-types", "--no-warnings", SCENARIOS];
const isRoot = process.getuid?.() === 0;
const testWithMount = canRun("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt") ? test : test.skip;
const testWithStrace = canRun("strace", "true") ? test : test.skip;

describe("DiskBucket and the system", () => {
  testWithMount("is full when the disk is, loses nothing, and leaves nothing (needs mount)", () => {
    const seen = inOwnMounts("size=2m", "fill");
    expect(seen).toEqual({ failure: "full", before: "intact", leftovers: 0, after: "stored" });
  });

  testWithMount("denies writing to a read-only disk and still reads it (needs mount)", () => {
    const seen = inOwnMounts("size=8m", "readOnly");
    expect(seen).toEqual({ put: "denied", delete: "denied", get: 3, reopened: "ok" });
  });

  testWithStrace(
    "has first the bytes, then the name on the disk before it answers (needs strace)",
    async () => {
      const { folder, close } = await openTemporary();
      const trace = join(folder, "trace");
      const calls = "trace=pwrite64,fsync,link,write";
      execFileSync("strace", ["-f", "-y", "-e", calls, "-o", trace, ...NODE, "put", join(folder, "deep")]);
      const lines = (await readFile(trace, "utf8")).split("\n");
      const from = lines.findIndex(line => line.includes("pwrite64") && line.includes("/.tmp/"));
      const order = lines
        .slice(from)
        .map(line => /(pwrite64|fsync|link)\(.*?(\.tmp|\/00>)|write\(1.*"done/.exec(line));
      const steps = order.flatMap(step => (step ? [step[1] ? `${step[1]} ${step[2]}` : "answer"] : []));
      expect(steps).toEqual(["pwrite64 .tmp", "fsync .tmp", "link .tmp", "fsync /00>", "answer"]);
      await close();
    },
  );

  // Root may write anywhere, whatever the mode says.
  (isRoot ? test.skip : test)("denies writing to a folder it may not write to (not as root)", async () => {
    const { bucket, folder, close } = await openTemporary();
    await chmod(join(folder, ".tmp"), 0o500);
    await expect(bucket.put(newKey(), BYTES)).rejects.toMatchObject(failing("denied"));
    await chmod(join(folder, ".tmp"), 0o700);
    await close();
  });
});

function canRun(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Runs a scenario in a process with a mount of its own, so that nothing stays mounted. */
function inOwnMounts(options: string, scenario: string): unknown {
  const command = `mount -t tmpfs -o ${options} none /mnt && exec "$0" "$@" ${scenario} /mnt/bucket`;
  const printed = execFileSync("unshare", ["--mount", "sh", "-c", command, ...NODE], { encoding: "utf8" });
  return JSON.parse(printed);
}
