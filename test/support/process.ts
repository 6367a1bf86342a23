/** The built server as a process of its own, to be killed, stopped and started again; over a database and buckets that outlive it. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestDatabase } from "./database.js";
import { createDatabase } from "./database.js";

/** The built program. */
export const MAIN = process.env["SV_MAIN"] ?? fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const READY_WITHIN_MS = 90_000;

/** What outlives a server process: one database, one set of folder buckets. */
export class Installation {
  readonly #servers = new Set<ServerProcess>();

  private constructor(
    readonly dataDir: string,
    readonly database: TestDatabase,
  ) {}

  /** `template`: another one than the migrated database. */
  static async make({ template }: { template?: string } = {}): Promise<Installation> {
    const database = await createDatabase(template === undefined ? {} : { template });
    return new Installation(await mkdtemp(join(tmpdir(), "sv-process-")), database);
  }

  /** One more replica; `env` as an operator would set it. Resolves when it is ready. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
    const server = this.begin(["serve"], env);
    await server.ready();
    return server;
  }

  /** Another command than `serve`, or a `serve` that is to fail: resolves when it has ended. */
  async run(command: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const ended = this.begin([command], env);
    return { exitCode: await ended.exited(), output: ended.output };
  }

  /** A command with its arguments, for a test that ends it itself. */
  begin(command: readonly string[], env: Readonly<Record<string, string>> = {}): ServerProcess {
    const begun = new ServerProcess(spawnCommand(command, environmentOf(this, env)));
    this.#servers.add(begun);
    return begun;
  }

  async remove(): Promise<void> {
    await Promise.all([...this.#servers].map(server => server.kill("SIGKILL")));
    await this.database.drop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }
}

export interface Ended {
  readonly exitCode: number | null;
  /** Both streams, as they came. */
  readonly output: string;
}

export class ServerProcess {
  #output = "";
  readonly #exit: Promise<number | null>;
  url = "";

  constructor(private readonly child: ChildProcess) {
    // Not `exit`: what it said last may still be in the pipe then.
    this.#exit = once(child, "close").then(([code]) => code);
    child.stdout?.on("data", data => {
      this.#output += data;
    });
    child.stderr?.on("data", data => {
      this.#output += data;
    });
  }

  /** Everything it has printed, log lines included. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error("the server did not start");
    return this.child.pid;
  }

  async ready(): Promise<void> {
    const until = performance.now() + READY_WITHIN_MS;
    while (performance.now() < until && !this.hasEnded) {
      this.url ||= /"url":"(http[^"]+)"/.exec(this.#output)?.[1] ?? "";
      if (this.url) return;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    throw new Error(`the server is not ready:\n${this.#output}`);
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Tells it without waiting for what comes of it. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Resolves when it has ended: with its exit code, or null when a signal ended it. */
  exited(): Promise<number | null> {
    return this.#exit;
  }

  /** {@link signal} and {@link exited}. */
  async kill(signal: NodeJS.Signals): Promise<number | null> {
    if (!this.hasEnded) this.signal(signal);
    return this.exited();
  }
}

function spawnCommand(command: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, [MAIN, ...command], { stdio: ["ignore", "pipe", "pipe"], env });
}

/** The whole environment of a command over this installation, as an operator would set it. */
export function environmentOf(
  { dataDir, database }: Installation,
  env: Readonly<Record<string, string>>,
): Record<string, string> {
  const { PATH = "", HOME = "", NODE_COMPILE_CACHE = "" } = process.env;
  return {
    PATH,
    HOME,
    NODE_COMPILE_CACHE,
    PORT: "0",
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    ADMIN_TOKEN: "admin-token-of-the-tests",
    RATE_LIMIT: "off",
    DRAIN_SECONDS: "2",
    ARGON2_MEMORY_KIB: "8192",
    ARGON2_PASSES: "1",
    ARGON2_LANES: "1",
    SEAL_THREADS: "1", // each takes as much of the processor to start as a fifth of all the rest
    ...env,
  };
}
