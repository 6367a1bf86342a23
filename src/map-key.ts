/** The operator's key to the recovery manifests. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Config } from "./config.js";
import type { Log } from "./core/ports.js";
import { keptSecret } from "./kept-secret.js";

const MAP_KEY_BYTES = 32;

/** `MAP_KEY`: configured, or, with the embedded default, made once and kept where only its owner reads; else none. */
export async function mapKeyOf(config: Config, log: Log): Promise<Config["MAP_KEY"]> {
  if (config.MAP_KEY !== undefined) return config.MAP_KEY;
  if (config.DATABASE_URL !== undefined) {
    log.warn("no MAP_KEY: should the database be lost, each file takes its password to come back");
    return undefined;
  }
  const file = fileOf(config);
  const { secret, isNew } = await keptSecret(file, { bytes: MAP_KEY_BYTES, encoding: "base64" });
  if (isNew) log.info("made a MAP_KEY: keep a copy elsewhere", { file });
  return Buffer.from(secret, "base64");
}

/** The same, but none is made: what is to be recovered was written under one that was there before. */
export async function keptMapKey(config: Config): Promise<Config["MAP_KEY"]> {
  if (config.MAP_KEY !== undefined || config.DATABASE_URL !== undefined) return config.MAP_KEY;
  try {
    return Buffer.from((await readFile(fileOf(config), "utf8")).trim(), "base64");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}

function fileOf(config: Config): string {
  return resolve(config.DATA_DIR, "map-key");
}
