/**
 * A bucket that is a folder. An object appears whole and durable, or not at all:
 *
 *     <folder>/.tmp/<random>    being written; link()ed to its place when its bytes are on the disk
 *     <folder>/3f/3f09…         objects, in 256 subfolders by the first two digits of the key
 *
 * All subfolders are made when the bucket is opened and none later. So a bucket whose disk was unmounted under a
 * running server shows by its missing subfolder: it fails, instead of being filled again beneath the mount point.
 * The file system must know hard links, and fsync of folders (any of Linux does).
 */
import { randomBytes } from "node:crypto";
import type { StatsFs } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { link, mkdir, open, opendir, readdir, readFile, stat, statfs, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BucketFailure } from "../core/errors.js";
import { BucketError } from "../core/errors.js";
import type { ObjectKey } from "../core/model.js";
import { untilAborted } from "./abort.js";
import type { Bucket, BucketSize, ByteRange, KeyRange } from "../core/ports.js";
import {
  assertKeyRange,
  assertObjectKey,
  assertRange,
  isInRange,
  isObjectKey,
  PAGE_KEYS,
} from "./object-key.js";

const TEMP = ".tmp";
const STATFS_TIMEOUT_MS = 1_000;
/** A temp file this old was left by a crash: no put takes so long (`deadline.ts`). */
const LEFTOVER_MS = 60 * 60 * 1000;
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const SUBFOLDERS = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

/** What an errno means; any that is not named here may pass. */
const FAILURES: Readonly<Record<string, BucketFailure>> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EROFS: "denied",
  EACCES: "denied",
  EPERM: "denied",
};

export class DiskBucket implements Bucket, BucketSize {
  #asking: Promise<StatsFs> | undefined;

  /** Does not touch the disk. {@link DiskBucket.open} is what makes the folders of a new bucket. */
  constructor(
    readonly name: string,
    private readonly folder: string,
  ) {}

  /** Makes the folders that are missing, durably, and removes what crashed puts have left. */
  static async open(name: string, folder: string): Promise<DiskBucket> {
    const bucket = new DiskBucket(name, folder);
    await bucket.open();
    return bucket;
  }

  /** `onAnswer` is called as the disk answers: a new folder takes hundreds of calls, and some disks are far away. */
  open(onAnswer: () => void = () => {}): Promise<void> {
    return this.#attempt("open", undefined, async () => {
      await makeFolders(this.folder, onAnswer);
      await removeLeftovers(join(this.folder, TEMP), onAnswer);
    });
  }

  /** Of the file system the folder lies on; other folders may share it. Null while it does not answer. */
  async capacityBytes(): Promise<number | null> {
    try {
      const { blocks, bsize } = await untilAborted(
        this.#askFileSystem(),
        AbortSignal.timeout(STATFS_TIMEOUT_MS),
      );
      return blocks * bsize;
    } catch {
      return null;
    }
  }

  /** However many ask: where it hangs, it keeps one thread. */
  #askFileSystem(): Promise<StatsFs> {
    this.#asking ??= statfs(this.folder).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async put(key: ObjectKey, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const path = this.#path(key);
    const temp = join(this.folder, TEMP, randomBytes(16).toString("hex"));
    await this.#attempt(`put ${key}`, signal, async () => {
      try {
        await writeDurably(temp, bytes, signal);
        if (!(await linkIfAbsent(temp, path)) && !(await holds(path, bytes))) {
          throw new BucketError("conflict", `${this.name}: put ${key}: holds other bytes`);
        }
      } finally {
        await unlink(temp).catch(() => {}); // not there, or a leftover that the next open() removes
      }
      // Also when the object was there before: whoever linked it may not have come as far as this.
      await syncFolder(dirname(path));
    });
  }

  async get(key: ObjectKey, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array | null> {
    const path = this.#path(key);
    assertRange(range);
    return await this.#attempt(`get ${key}`, signal, async () => {
      const file = await openIfThere(path);
      if (!file) {
        await stat(dirname(path)); // ENOENT here: the bucket is gone, not the object
        return null;
      }
      try {
        const { size } = await file.stat();
        const first = range?.first ?? 0;
        const end = range ? Math.min(range.last + 1, size) : size;
        return await readFully(file, first, Math.max(0, end - first));
      } finally {
        await file.close();
      }
    });
  }

  async delete(key: ObjectKey, signal?: AbortSignal): Promise<void> {
    const path = this.#path(key);
    await this.#attempt(`delete ${key}`, signal, async () => {
      await unlink(path).catch(unless("ENOENT"));
      await syncFolder(dirname(path)); // fails if the bucket is gone: a missing bucket has deleted nothing
    });
  }

  async list(range: KeyRange = {}, signal?: AbortSignal): Promise<readonly ObjectKey[]> {
    assertKeyRange(range);
    const { after, prefix = "" } = range;
    return await this.#attempt("list", signal, async () => {
      const page: ObjectKey[] = [];
      for (const subfolder of SUBFOLDERS) {
        if (after && subfolder < after.slice(0, 2)) continue;
        if (!prefix.startsWith(subfolder) && !subfolder.startsWith(prefix)) continue;
        signal?.throwIfAborted();
        page.push(...(await smallestKeys(join(this.folder, subfolder), range, PAGE_KEYS - page.length)));
        if (page.length === PAGE_KEYS) break;
      }
      return page;
    });
  }

  /** The only place where a key becomes a path. */
  #path(key: ObjectKey): string {
    assertObjectKey(key);
    return join(this.folder, key.slice(0, 2), key);
  }

  /** One attempt: what the system refuses becomes a BucketError; any other error is a bug and stays as it is. */
  async #attempt<T>(what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      const code = errno(error);
      if (code === undefined) throw error;
      const message = `${this.name}: ${what}: ${code}`;
      throw new BucketError(FAILURES[code] ?? "unavailable", message, { cause: error });
    }
  }
}

async function makeFolders(folder: string, onAnswer: () => void): Promise<void> {
  const firstMade = await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  onAnswer();
  const present = new Set(await readdir(folder));
  const missing = [TEMP, ...SUBFOLDERS].filter(name => !present.has(name));
  // recursive: another replica may be making them at this moment.
  for (const name of missing) {
    await mkdir(join(folder, name), { recursive: true, mode: FOLDER_MODE });
    onAnswer();
  }
  // Also what is there already: whoever made it may not have come as far as this.
  await syncFolder(folder);
  onAnswer();
  if (firstMade === undefined) return await syncFolder(dirname(folder)).catch(unless("EACCES"));
  for (let made = folder; made.length >= firstMade.length; made = dirname(made)) {
    await syncFolder(dirname(made));
    onAnswer();
  }
}

async function removeLeftovers(folder: string, onAnswer: () => void): Promise<void> {
  for (const name of await readdir(folder)) {
    onAnswer();
    const path = join(folder, name);
    const status = await stat(path).catch(unless("ENOENT"));
    if (status && Date.now() - status.mtimeMs > LEFTOVER_MS) await unlink(path).catch(unless("ENOENT"));
  }
}

async function writeDurably(path: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  const file = await open(path, "wx", FILE_MODE);
  try {
    // A write may be short (a disk filling up, more than 2 GiB); the next one then says why, or goes on.
    for (let offset = 0; offset < bytes.byteLength; ) {
      const { bytesWritten } = await file.write(bytes, offset, bytes.byteLength - offset, offset);
      offset += bytesWritten;
      signal?.throwIfAborted();
    }
    await file.sync();
    signal?.throwIfAborted();
  } finally {
    await file.close();
  }
}

/** Gives the file its name; false if the name is taken. Unlike rename(), link() never replaces what is there. */
async function linkIfAbsent(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errno(error) === "EEXIST") return false;
    throw error;
  }
}

async function holds(path: string, bytes: Uint8Array): Promise<boolean> {
  const { size } = await stat(path);
  return size === bytes.byteLength && Buffer.compare(await readFile(path), bytes) === 0;
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  return (await open(path, "r").catch(unless("ENOENT"))) ?? null;
}

/** A buffer of its own, never a slice of Node's pool: whoever opens the segments may detach it. */
async function readFully(file: FileHandle, first: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer); // filled below, or cut to what was
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, first + filled);
    if (bytesRead === 0) return bytes.slice(0, filled);
    filled += bytesRead;
  }
  return bytes;
}

/** Makes the names in a folder durable. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The first `count` keys of the range, in order. Holds twice as many at most, however full the folder is. */
async function smallestKeys(folder: string, range: KeyRange, count: number): Promise<ObjectKey[]> {
  const keys: ObjectKey[] = [];
  for await (const { name } of await opendir(folder, { bufferSize: PAGE_KEYS })) {
    if (!isObjectKey(name) || !isInRange(name, range)) continue;
    keys.push(name);
    if (keys.length >= 2 * count) keys.sort().splice(count);
  }
  return keys.sort().slice(0, count);
}

/** The code of an error of the system (ENOENT …), undefined for any other. */
function errno(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  return "syscall" in error && "code" in error ? String(error.code) : undefined;
}

/** For `catch`: the one code that is no failure here becomes undefined. */
function unless(code: string): (error: unknown) => undefined {
  return error => {
    if (errno(error) !== code) throw error;
    return undefined;
  };
}
