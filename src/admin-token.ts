/** The administrator's token where the operator has not set one. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Config } from "./config.js";
import type { Welcome } from "./welcome.js";

const ADMIN_TOKEN_BYTES = 24;

/** The administrator's token: configured, or, with the embedded default, made once and kept where only its owner reads. */
export async function adminOf(config: Config): Promise<{ token: string | null; welcome: Welcome }> {
  const adminTokenFile = resolve(config.DATA_DIR, "admin-token");
  if (config.ADMIN_TOKEN !== undefined || config.DATABASE_URL !== undefined) {
    return { token: config.ADMIN_TOKEN ?? null, welcome: { newAdminToken: null, adminTokenFile: null } };
  }
  try {
    const token = (await readFile(adminTokenFile, "utf8")).trim();
    return { token, welcome: { newAdminToken: null, adminTokenFile } };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const token = randomBytes(ADMIN_TOKEN_BYTES).toString("base64url");
  await mkdir(config.DATA_DIR, { recursive: true });
  await writeFile(adminTokenFile, `${token}\n`, { mode: 0o600 });
  return { token, welcome: { newAdminToken: token, adminTokenFile } };
}
