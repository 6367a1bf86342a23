/** The whole service in this process, as main.ts composes it: real PostgreSQL, folder buckets, a free port. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceOptions } from "../../src/compose.js";
import { compose } from "../../src/compose.js";
import { readConfig } from "../../src/config.js";
import { InlineSealer } from "../../src/workers/inline.js";
import { createDatabase } from "./database.js";
import { InlineHasher } from "./inline-hasher.js";

export interface TestServer {
  readonly url: string;
  readonly adminToken: string;
  readonly dataDir: string;
  readonly databaseUrl: string;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const ADMIN_TOKEN = "admin-token-of-the-tests";

/** `env` are environment variables as an operator would set them; `options` what only tests may change. */
export async function startServer(
  env: Readonly<Record<string, string>> = {},
  options: Partial<ServiceOptions> = {},
): Promise<TestServer> {
  const database = await createDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), "sv-server-"));
  const config = readConfig({
    PORT: "0",
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    ADMIN_TOKEN,
    LOG_LEVEL: "silent",
    RATE_LIMIT: "off",
    DRAIN_SECONDS: "1",
    ARGON2_MEMORY_KIB: "8192",
    ARGON2_PASSES: "1",
    ARGON2_LANES: "1",
    ...env,
  });
  const service = await compose(config, "0.0.0-test", {
    vault: { makeSealer: () => new TestSealer(), makeHasher: () => new InlineHasher() },
    hasJobs: false,
    ...options,
  });
  const url = await service.listen();
  const stop = async () => {
    await service.close();
    await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  };
  return {
    url,
    adminToken: ADMIN_TOKEN,
    dataDir,
    databaseUrl: database.url,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The worker's file exists only once built; sealing here is the same code. */
class TestSealer extends InlineSealer {
  async close(): Promise<void> {}
}
