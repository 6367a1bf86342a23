/** The server that is measured: the built program over an empty data folder, with a loop monitor loaded before it. */
import { openSync, closeSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, isUp, startNode, stop } from "./processes.mjs";

const ROOT = join(import.meta.dirname, "..");
/** Replaces the server, to try the benchmark itself. */
export const PROGRAM = process.env["BENCH_PROGRAM"] ?? join(ROOT, "dist/main.js");

/**
 * Over what an earlier server left in `folder`, if anything; `env` are settings beside those of every run. Without parity
 * unless they say otherwise, since the peers that it is compared with have none.
 */
export async function startServer(folder, env = {}) {
  const dataDir = dataDirOf(folder);
  await mkdir(dataDir, { recursive: true });
  const loopFile = join(folder, "loop.json");
  const port = await freePort();
  const log = openSync(join(folder, "server.log"), "a");
  const child = startNode(["--import", join(import.meta.dirname, "loop-monitor.mjs"), PROGRAM, "serve"], {
    output: log,
    env: {
      HOST: "127.0.0.1",
      PORT: String(port),
      DATA_DIR: dataDir,
      DRAIN_SECONDS: "1",
      RATE_LIMIT: "off",
      PARITY: "none",
      BENCH_LOOP_FILE: loopFile,
      ...env,
    },
  });
  closeSync(log);
  const url = `http://127.0.0.1:${port}`;
  await isUp(child, `${url}/readyz`);
  return {
    url,
    pid: child.pid,
    /** The event loop's delays in milliseconds since the last call. */
    loop: () => readLoop(child, loopFile),
    stop: () => stop(child),
  };
}

/** Forgets what servers left in `folder`. */
export async function clearData(folder) {
  await rm(dataDirOf(folder), { recursive: true, force: true });
}

export function dataDirOf(folder) {
  return join(folder, "data");
}

async function readLoop(child, file) {
  await rm(file, { force: true });
  child.kill("SIGUSR2");
  for (let tries = 0; tries < 100; tries++) {
    const text = await readFile(file, "utf8").catch(() => null);
    if (text !== null) return JSON.parse(text);
    await sleep(50);
  }
  throw new Error("the server did not report its event loop");
}
