/** Makes the embedded cluster's data directory, whole or not at all. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Binaries } from "./embedded-binaries.js";
import { exists, publish, runAs } from "./embedded-binaries.js";
import { EmbeddedError } from "./embedded-error.js";
import type { Home } from "./embedded-home.js";
import { privateFolder } from "./embedded-home.js";

/** Creates the cluster if there is none. Processes that do so at once all end up with the one that was first. */
export async function ensureCluster(home: Home, binaries: Binaries, fsync: boolean): Promise<void> {
  await removeUnfinished(home.root);
  if (!(await exists(home.clusterDir))) await createCluster(home, binaries, fsync);
  const made = (await readFile(join(home.clusterDir, "PG_VERSION"), "utf8")).trim();
  const major = binaries.version.split(".")[0];
  if (made !== major) {
    throw new EmbeddedError(
      `${home.clusterDir} was made by PostgreSQL ${made}, this is ${major}: dump and restore it`,
    );
  }
}

async function createCluster(home: Home, binaries: Binaries, fsync: boolean): Promise<void> {
  const unfinished = join(home.root, `unfinished-${process.pid}-${randomBytes(4).toString("hex")}`);
  await privateFolder(unfinished, home.account);
  // The built-in C.UTF-8 sorts by code point on every system: no index depends on the libc's collation.
  const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const args = ["--pgdata", unfinished, "--username=app", "--auth=trust", "--no-instructions", ...locale];
  const initdb = runAs(home.account, binaries, "initdb", fsync ? args : [...args, "--no-sync"]);
  const output: string[] = [];
  initdb.stderr.on("data", data => output.push(String(data)));
  const [code] = (await once(initdb, "close").catch(error => [error])) as [number | null | Error];
  if (code !== 0) {
    await rm(unfinished, { recursive: true, force: true });
    const why = output.join("").trim();
    // Seen: an account without a name (a container's bare uid), and a system without glibc, where nothing starts.
    throw new EmbeddedError(
      `initdb failed (${code}): ${why}\nSet DATABASE_URL to use a PostgreSQL of your own.`,
    );
  }
  await publish(unfinished, home.clusterDir);
  await syncFolder(home.root);
}

/** What makers that died left behind; their process ids are in the names. */
async function removeUnfinished(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const pid = /^unfinished-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await rm(join(root, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  await folder.sync().finally(() => folder.close());
}
