/** What the same bytes cost without us. Each resolves with seconds. */
import { execFileSync } from "node:child_process";
import { createCipheriv, hash, randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { settle } from "./machine.mjs";
import { pattern } from "./pattern.mjs";
import { freePort, isUp, runClient, startNode, stop } from "./processes.mjs";

const SEGMENT_BYTES = 256 * 1024;
/** What goes through a server before it is timed: until then V8 interprets, and no memory has been touched. */
export const WARM_BYTES = 256 * 1024 * 1024;

/** Over as many connections as will be timed, since each that is busy at once has the server open one to its database. */
export async function warmUp(folder, url, count = 1) {
  await uploadOverTus(folder, { url, bytes: WARM_BYTES / count, count });
}

/** Writes the file that `cp` copies; it stays in the page cache, as the clients' bytes are in memory. */
export async function writeFileToCopy(path, bytes) {
  const file = await open(path, "w");
  for (const piece of pattern(bytes)) await file.write(piece);
  await file.sync();
  await file.close();
}

export async function copyAndSync(path) {
  const copy = `${path}.copy`;
  const began = performance.now();
  execFileSync("cp", ["--reflink=never", path, copy]);
  const file = openSync(copy, "r+");
  fsyncSync(file);
  closeSync(file);
  const seconds = (performance.now() - began) / 1000;
  await rm(copy);
  return seconds;
}

/** One thread, one message after the other, a fresh IV each: the cryptography of an upload and nothing else. */
export function sealAlone(bytes) {
  const key = randomBytes(32);
  const began = performance.now();
  for (const piece of pattern(bytes)) {
    for (let at = 0; at < piece.length; at += SEGMENT_BYTES) {
      const cipher = createCipheriv("aes-256-gcm", key, randomBytes(12));
      cipher.update(piece.subarray(at, at + SEGMENT_BYTES));
      cipher.final();
      cipher.getAuthTag();
    }
  }
  return (performance.now() - began) / 1000;
}

/** One thread: an upload hashes each stored byte, parity too, and over REST each plain one. What SHA extensions are for. */
export function hashAlone(bytes) {
  const began = performance.now();
  for (const piece of pattern(bytes)) hash("sha256", piece, "buffer");
  return (performance.now() - began) / 1000;
}

/** From the first PATCH to the last answer, at whichever server: with seconds, and the hash where there is one. */
export async function uploadOverTus(folder, { url, bytes, count = 1, patchBytes, inTurn }) {
  const locations = await runClient({ task: "tusBegin", url, bytes, count });
  settle(folder, count * bytes);
  return runClient({ task: "tusUploads", url, bytes, locations, patchBytes, inTurn });
}

/** Note that @tus/file-store does not fsync: what it has acknowledged, a power cut can lose. Warmed up as our server is. */
export async function uploadToTus(folder, what) {
  const directory = join(folder, "tus");
  await mkdir(directory, { recursive: true });
  const port = await freePort();
  const child = startNode([join(import.meta.dirname, "tus-server.mjs"), directory, String(port)], {
    output: "ignore",
  });
  try {
    const url = `http://127.0.0.1:${port}`;
    await isUp(child, url);
    await warmUp(folder, url, what.count);
    return (await uploadOverTus(folder, { url, ...what })).seconds;
  } finally {
    await stop(child);
    await rm(directory, { recursive: true, force: true });
  }
}
