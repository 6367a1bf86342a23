#!/usr/bin/env node
/**
 * The process: configuration, the command asked for, signals. A command loads what it needs when it is asked for: all there
 * is takes two seconds.
 */
import { readFileSync } from "node:fs";
import { NoPasswordError, PASSWORD_VARIABLE } from "./cli/password.js";
import { program } from "./cli/program.js";
import type { Service } from "./compose.js";
import type { Config } from "./config.js";
import { ConfigError, readConfig } from "./config.js";
import { BucketSpecError } from "./buckets/spec.js";
import { VaultError } from "./core/errors.js";
import { EmbeddedError } from "./database/embedded-error.js";
import { NotMigratedError } from "./database/not-migrated-error.js";
import { welcome } from "./welcome.js";

/** Exit status for a command or an environment that cannot be understood (as grep, curl and others use it). */
const EXIT_USAGE = 2;

const version: string = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version;

try {
  await program(
    {
      serve: () => serve(config()),
      migrate: async () => (await import("./stores.js")).migrate(config()),
      async drain(bucket) {
        const emptied = await (await byHand()).drainBucket(config(), bucket);
        console.log(JSON.stringify(emptied));
        if (!emptied.isEmpty) process.exitCode = 1;
      },
      sweep: async () => console.log(JSON.stringify(await (await byHand()).sweepOnce(config()))),
      async auditVerify(heads) {
        const { verdictText, verifyAuditLog } = await auditCommands();
        const verdict = await verifyAuditLog(config(), heads);
        console.log(verdictText(verdict));
        if (!verdict.isWhole) process.exitCode = 1;
      },
      auditExport: async heads => (await auditCommands()).exportAuditLog(config(), heads, process.stdout),
      scrub: async () => reportRepairs(await (await byHand()).scrubAll(config())),
      repair: async () => reportRepairs(await (await byHand()).repairAll(config())),
      verify: async hash => reportRepairs(await (await byHand()).verifyFile(config(), hash)),
      schema: async path => (await import("./api/graphql/schema.js")).emitSchema(path),
      recoverFile: async (request, write) =>
        (await import("./recover.js")).recoverOne(config(), request, write),
      recoverAll: async request => (await import("./recover.js")).recoverAll(config(), request),
      password: process.env[PASSWORD_VARIABLE],
    },
    version,
  ).parseAsync();
} catch (error) {
  process.exitCode = complain(error);
}

/** Says what is wrong: a sentence where an operator can put it right, everything there is where it is a bug. */
function complain(error: unknown): number {
  if (error instanceof ConfigError) {
    const problems = error.problems.map(problem => `  ${problem}`).join("\n");
    console.error(`Scattervault cannot start, these settings are wrong:\n${problems}`);
    return EXIT_USAGE;
  }
  if (error instanceof NoPasswordError || error instanceof BucketSpecError) {
    console.error(error.message);
    return EXIT_USAGE;
  }
  if (error instanceof VaultError) console.error(`${error.code}: ${error.message}`);
  else
    console.error(
      error instanceof EmbeddedError || error instanceof NotMigratedError ? error.message : error,
    );
  return 1;
}

/** Exit status 1: not everything is whole again. */
function reportRepairs(counts: { lost: number; unplaced: number }): void {
  console.log(JSON.stringify(counts));
  if (counts.lost + counts.unplaced > 0) process.exitCode = 1;
}

function config(): Config {
  return readConfig(process.env);
}

function byHand() {
  return import("./by-hand.js");
}

function auditCommands() {
  return import("./audit-commands.js");
}

async function serve(settings: Config): Promise<void> {
  const { compose } = await import("./compose.js");
  const service = await compose(settings, version);
  const url = await service.listen();
  if (service.welcome) process.stdout.write(welcome(url, service.welcome));
  const signal = await firstSignal();
  service.log.info({ signal }, "stopping");
  await stop(service);
}

/** A second signal ends the process at once. */
async function stop(service: Service): Promise<void> {
  const second = firstSignal().then(() => process.exit(1));
  await Promise.race([service.close(), second]);
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
}
