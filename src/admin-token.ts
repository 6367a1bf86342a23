/** The administrator's token where the operator has not set one. */
import { resolve } from "node:path";
import type { Config } from "./config.js";
import { keptSecret } from "./kept-secret.js";
import type { Welcome } from "./welcome.js";

const ADMIN_TOKEN_BYTES = 24;

/** The administrator's token: configured, or, with the embedded default, made once and kept where only its owner reads. */
export async function adminOf(config: Config): Promise<{ token: string | null; welcome: Welcome }> {
  const adminTokenFile = resolve(config.DATA_DIR, "admin-token");
  if (config.ADMIN_TOKEN !== undefined || config.DATABASE_URL !== undefined) {
    return { token: config.ADMIN_TOKEN ?? null, welcome: { newAdminToken: null, adminTokenFile: null } };
  }
  const { secret, isNew } = await keptSecret(adminTokenFile, {
    bytes: ADMIN_TOKEN_BYTES,
    encoding: "base64url",
  });
  return { token: secret, welcome: { newAdminToken: isNew ? secret : null, adminTokenFile } };
}
