/** Each call to the file system fails in its turn: an object is whole or absent, and nothing stays open. */
import * as system from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { newKey } from "../contracts/bucket.js";

type Call = (this: unknown, ...args: unknown[]) => Promise<unknown>;

let calls = 0;
let failing = 0;

/** Every function of the module, and every method of the handles that they give, is a call that may fail. */
function counted(name: string, call: Call): Call {
  return async function (...args) {
    const isToFail = ++calls === failing;
    const result = isToFail && name !== "close" ? undefined : await Reflect.apply(call, this, args);
    if (isToFail) throw Object.assign(new Error(`${name} was to fail`), { code: "EIO", syscall: name });
    return isHandle(result) ? countedHandle(result) : result;
  };
}

function isHandle(value: unknown): value is system.FileHandle {
  return typeof value === "object" && value !== null && "fd" in value;
}

function countedHandle(handle: system.FileHandle): system.FileHandle {
  return new Proxy(handle, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return counted(String(name), member as Call).bind(target);
    },
  });
}

jest.unstable_mockModule("node:fs/promises", () =>
  Object.fromEntries(
    Object.entries(system).map(([name, member]) => [
      name,
      typeof member === "function" ? counted(name, member as Call) : member,
    ]),
  ),
);
const { DiskBucket } = await import("../../src/buckets/disk.js");

const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i);
const [KEPT, OTHER] = [newKey(), newKey()];

let folder: string;
beforeAll(async () => {
  folder = await system.realpath(await system.mkdtemp(join(tmpdir(), "disk-calls-")));
});
afterAll(() => system.rm(folder, { recursive: true }));

/** Files below the folder that this process has open. */
async function openFiles(): Promise<string[]> {
  const handles = await system.readdir("/proc/self/fd");
  const paths = await Promise.all(
    handles.map(handle => system.readlink(`/proc/self/fd/${handle}`).catch(() => "")),
  );
  return paths.filter(path => path.startsWith(folder));
}

const leftovers = () => system.readdir(join(folder, ".tmp"));

/** A folder has 256 subfolders: of calls beyond these, which are alike, every 17th fails. */
const EACH_OF = 24;

/** Fails the first call of `act`, the second … until there is none left; `check` looks after each. */
async function failEach(act: () => Promise<unknown>, check: () => Promise<void>): Promise<number> {
  for (failing = 1; ; failing += failing < EACH_OF ? 1 : 17) {
    calls = 0;
    const error: unknown = await act().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    const callsMade = calls;
    // What need not be done well may fail unnoticed.
    if (error !== null) expect(error).toMatchObject({ name: "BucketError", failure: "unavailable" });
    calls = Number.MIN_SAFE_INTEGER; // what the check calls goes well
    expect(await openFiles()).toEqual([]);
    await check();
    if (callsMade < failing) {
      expect(error).toBeNull();
      return callsMade;
    }
  }
}

describe("whichever call fails", () => {
  let bucket: InstanceType<typeof DiskBucket>;
  beforeAll(async () => {
    calls = Number.MIN_SAFE_INTEGER;
    bucket = await DiskBucket.open("file:///a", folder);
    await bucket.put(KEPT, BYTES);
  });

  const object = (key: string) => bucket.get(key as typeof KEPT);

  test("of opening, opening it again does", async () => {
    const another = join(folder, "another");
    const tried = await failEach(
      () => DiskBucket.open("file:///b", another),
      async () => {
        const opened = await DiskBucket.open("file:///b", another);
        await opened.put(OTHER, BYTES);
        expect(await opened.get(OTHER)).toEqual(BYTES);
        await system.rm(another, { recursive: true });
      },
    );
    expect(tried).toBeGreaterThan(250);
  });

  test("of putting, the object is whole or absent, and putting it again does", async () => {
    let key = newKey();
    const tried = await failEach(
      () => bucket.put(key, BYTES),
      async () => {
        expect([null, BYTES]).toContainEqual(await object(key));
        await bucket.put(key, BYTES);
        expect(await object(key)).toEqual(BYTES);
        // The last call of a temp file is the one that removes it.
        expect((await leftovers()).length).toBeLessThanOrEqual(1);
        key = newKey();
      },
    );
    expect(tried).toBeGreaterThanOrEqual(8);
  });

  test("of reading, listing or measuring, the next does", async () => {
    const look = async () => {
      expect(await object(KEPT)).toEqual(BYTES);
      expect(await bucket.list()).toContain(KEPT);
    };
    expect(await failEach(() => bucket.get(KEPT), look)).toBeGreaterThanOrEqual(4);
    expect(await failEach(() => bucket.get(KEPT, { first: 5, last: 9 }), look)).toBeGreaterThanOrEqual(4);
    expect(await failEach(() => bucket.list(), look)).toBeGreaterThanOrEqual(256);
    expect(await failEach(() => bucket.capacityBytes(), look)).toBe(1);
  });

  test("of deleting, the object is whole or gone, and deleting it again does", async () => {
    const tried = await failEach(
      () => bucket.delete(OTHER),
      async () => {
        expect([null, BYTES]).toContainEqual(await object(OTHER));
        await bucket.delete(OTHER);
        expect(await object(OTHER)).toBeNull();
        await bucket.put(OTHER, BYTES);
      },
    );
    expect(tried).toBeGreaterThanOrEqual(3);
  });
});
