/**
 * Where the embedded cluster lives and as whom it runs. PostgreSQL refuses to run as root, so root drops to another
 * account, and that account has to reach the data, the socket and the binaries.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, chown, lstat, mkdir, realpath, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Log } from "../core/ports.js";
import { EmbeddedError } from "./embedded-error.js";

/** Where root keeps what the dropped-to account must reach when the project lies in a closed folder. */
export const SHARED_ROOT = "/var/lib/scattervault";

/** Names the socket file together with the port that the server is told to use. */
const SOCKET_FILE = ".s.PGSQL.5432";

/** sun_path is 108 bytes on Linux and 104 on macOS, its final zero included. */
const SOCKET_PATH_BYTES = 103;

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Home {
  /** PostgreSQL's data directory; exists once it is whole. */
  readonly clusterDir: string;
  /** The parent of `clusterDir`, writable by us. */
  readonly root: string;
  /** 0700: reaching this folder is the only credential there is. */
  readonly socketDir: string;
  readonly account: Account;
}

/** Chooses account, data folder and socket folder, and makes the folders. */
export async function prepareHome(dataDir: string, log: Log): Promise<Home> {
  const first = await defaultAccount();
  const root = await rootFolder(resolve(dataDir), first, log);
  const clusterDir = join(root, "cluster");
  const account = await ownerOf(clusterDir, first);
  const socketDir = socketFolder(root);
  await privateFolder(socketDir, account);
  return { clusterDir, root, socketDir, account };
}

/** Creates `path` for `account` alone, or makes sure that it is so: another's folder in /tmp must not be trusted. */
export async function privateFolder(path: string, account: Account): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  const found = await lstat(path);
  if (!found.isDirectory() || (found.uid !== account.uid && found.uid !== ownUid())) {
    throw new EmbeddedError(`${path} is not ours (uid ${found.uid}); remove it or choose another DATA_DIR`);
  }
  await chmod(path, 0o700);
  if (found.uid !== account.uid) await chown(path, account.uid, account.gid);
}

/** Whether `account` may pass every folder down to `path`, and has `need` (rwx as in a mode's last digit) there. */
export async function isReachable(path: string, account: Account, need = 0o1): Promise<boolean> {
  if (account.uid === ownUid()) return true;
  const real = await realpath(path);
  for (let at = real; ; at = dirname(at)) {
    const { mode, uid, gid } = await stat(at);
    const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
    const wanted = at === real ? need : 0o1;
    if (((mode >> shift) & wanted) !== wanted) return false;
    if (at === dirname(at)) return true;
  }
}

function ownUid(): number {
  return process.getuid?.() ?? 0;
}

async function defaultAccount(): Promise<Account> {
  if (ownUid() !== 0) return { uid: ownUid(), gid: process.getgid?.() ?? 0 };
  for (const name of ["postgres", "nobody"]) {
    const [uid, gid] = await Promise.all([idOf("-u", name), idOf("-g", name)]);
    if (uid !== null && gid !== null) return { uid, gid };
  }
  throw new EmbeddedError(
    "PostgreSQL does not run as root, and there is neither a user postgres nor nobody to drop to. " +
      "Start as another user, or set DATABASE_URL.",
  );
}

/** Asks `id` rather than /etc/passwd: accounts may come from elsewhere. */
async function idOf(option: "-u" | "-g", name: string): Promise<number | null> {
  const answer = await promisify(execFile)("id", [option, name]).catch(() => null);
  return answer && Number(answer.stdout);
}

/** `dataDir`, or a folder of the same identity below {@link SHARED_ROOT} where the account cannot reach it. */
async function rootFolder(dataDir: string, account: Account, log: Log): Promise<string> {
  await makePassable(dataDir);
  const real = await realpath(dataDir);
  if (await isReachable(real, account)) return real;
  const moved = join(SHARED_ROOT, shortName(real));
  log.warn("The embedded database lies elsewhere: its account cannot reach the data directory", {
    dataDir: real,
    uid: account.uid,
    moved,
  });
  await makePassable(moved);
  return moved;
}

/** Creates the missing folders of `dir` 0711, whatever the umask: with 0700 PostgreSQL "could not access directory". */
export async function makePassable(dir: string): Promise<void> {
  const firstMade = await mkdir(dir, { recursive: true });
  for (let at = dir; firstMade !== undefined && at.length >= firstMade.length; at = dirname(at))
    await chmod(at, 0o711);
}

/** A cluster that exists keeps its owner, so root may start what a user made and the other way round is refused. */
async function ownerOf(clusterDir: string, otherwise: Account): Promise<Account> {
  const found = await stat(clusterDir).catch(() => null);
  if (!found || found.uid === otherwise.uid) return otherwise;
  if (ownUid() === 0) return { uid: found.uid, gid: found.gid };
  throw new EmbeddedError(
    `${clusterDir} belongs to uid ${found.uid}; start as that user or choose another DATA_DIR`,
  );
}

/** Beside the cluster where the path is short enough, else under a name derived from it, so that all find the same. */
function socketFolder(root: string): string {
  const candidates = [join(root, "socket"), join(tmpdir(), shortName(root)), join("/tmp", shortName(root))];
  const fitting = candidates.find(dir => Buffer.byteLength(join(dir, SOCKET_FILE)) <= SOCKET_PATH_BYTES);
  if (fitting === undefined) throw new EmbeddedError(`no path is short enough for a socket of ${root}`);
  return fitting;
}

function shortName(path: string): string {
  return `scattervault-${createHash("sha256").update(path).digest("hex").slice(0, 16)}`;
}
