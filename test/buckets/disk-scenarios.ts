/** Run by disk.test.ts in a process of its own: `<scenario> <folder>`. Prints what it saw as JSON. */
import { execFileSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { registerHooks } from "node:module";
import type { DiskBucket as Disk } from "../../src/buckets/disk.js";

// Node compiles TypeScript itself here; that x.js is x.ts it has to be told.
registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier.startsWith(".") ? specifier.replace(/js$/, "ts") : specifier, context),
});

const { DiskBucket } = await import("../../src/buckets/disk.js");
const SCENARIOS = { fill, readOnly, put: async () => "done" };
const [scenario, folder = ""] = process.argv.slice(2);
const FIRST = "0".repeat(32);

const bucket = await DiskBucket.open("file:///a", folder);
await bucket.put(FIRST, Uint8Array.of(1, 2, 3));
console.log(JSON.stringify(await SCENARIOS[scenario as keyof typeof SCENARIOS](bucket)));

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => "none",
    error => error.failure,
  );
}

async function fill(disk: Disk): Promise<unknown> {
  const megabyte = new Uint8Array(1 << 20);
  await disk.put("1".repeat(32), megabyte);
  const failure = await failureOf(disk.put("2".repeat(32), megabyte));
  const before = (await disk.get("2".repeat(32))) === null && (await disk.get(FIRST))?.byteLength === 3;
  const leftovers = (await readdir(`${folder}/.tmp`)).length;
  await disk.delete("1".repeat(32));
  const after = await failureOf(disk.put("2".repeat(32), megabyte));
  return {
    failure,
    before: before ? "intact" : "harmed",
    leftovers,
    after: after === "none" ? "stored" : after,
  };
}

async function readOnly(disk: Disk): Promise<unknown> {
  execFileSync("mount", ["-o", "remount,ro", "/mnt"]);
  return {
    put: await failureOf(disk.put("1".repeat(32), Uint8Array.of(1))),
    delete: await failureOf(disk.delete(FIRST)),
    get: (await disk.get(FIRST))?.byteLength,
    reopened: (await failureOf(DiskBucket.open("file:///a", folder))) === "none" ? "ok" : "failed",
  };
}
