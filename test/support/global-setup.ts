/** One embedded PostgreSQL for the whole run, migrated once into a template that test files copy in milliseconds. */
import { existsSync } from "node:fs";
import { chmod, mkdtemp, statfs } from "node:fs/promises";
import { registerHooks } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Embedded } from "../../src/database/embedded.js";

/** What the teardown, which is loaded apart, has to end. */
export interface TestRun {
  testDatabase?: { readonly server: Embedded; readonly folder: string };
}

// Jest's moduleNameMapper does not reach what global set-up imports, so `x.js` has to be told that it is `x.ts` here.
registerHooks({
  resolve(specifier, context, next) {
    if (!specifier.startsWith(".") || !specifier.endsWith(".js")) return next(specifier, context);
    const source = new URL(specifier.replace(/js$/, "ts"), context.parentURL);
    return next(existsSync(source) ? fileURLToPath(source) : specifier, context);
  },
});

const quiet = { info() {}, warn: console.warn, error: console.error };

/** Where Linux keeps files in memory. */
const IN_MEMORY = "/dev/shm";
/** A whole run leaves less than a tenth of it behind, and removes that as it goes. */
const ROOM_BYTES = 4 * 2 ** 30;

export default async function setup(): Promise<void> {
  await workInMemory();
  await unpackBrowser();
  const { startEmbedded } = await import("../../src/database/embedded.js");
  const folder = await mkdtemp(join(tmpdir(), "sv-"));
  await chmod(folder, 0o711); // or root's stand-in could not pass
  const server = await startEmbedded({ dataDir: join(folder, "db"), log: quiet, fsync: false });
  (globalThis as TestRun).testDatabase = { server, folder };
  process.env["TEST_DATABASE_URL"] = server.url;
  await createTemplate();
}

/**
 * Databases and buckets of tests lie in memory where there is room: every put is fsynced, and what a test is about is
 * seldom the disk. A process that is killed leaves the same behind as on a disk. TMPDIR, where it is set, stays.
 */
async function workInMemory(): Promise<void> {
  if (process.env["TMPDIR"] !== undefined || !existsSync(IN_MEMORY)) return;
  const { bavail, bsize } = await statfs(IN_MEMORY);
  if (bavail * bsize >= ROOM_BYTES) process.env["TMPDIR"] = IN_MEMORY;
}

/** Once for all test files. Where there is none for this platform, those that need one say so. */
async function unpackBrowser(): Promise<void> {
  const { chromiumPath } = await import("./chromium.js");
  const path = await chromiumPath().catch(() => undefined);
  if (path !== undefined) process.env["CHROMIUM_PATH"] = path;
}

async function createTemplate(): Promise<void> {
  const { createDatabase, TEMPLATE } = await import("./database.js");
  const { migrate, openDatabase } = await import("../../src/database/orm.js");
  const { url } = await createDatabase({ name: TEMPLATE, template: "template0" });
  const database = await openDatabase({ url, poolSize: 1, log: quiet });
  await migrate(database, quiet);
  await database.close(); // PostgreSQL copies only what nobody is connected to
}
