#!/usr/bin/env node
/**
 * Runs `node <arguments>` the way this project needs it, from a fresh clone on: installs what the lock file says, builds
 * what the sources say, and then runs under Node 24, which comes with the `node` package. Does only what is out of date,
 * so it costs a few milliseconds when nothing is. Plain JavaScript for old Nodes: it must run before anything is installed.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
process.chdir(root);

const NODE = join("node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
const INSTALLED = join("node_modules", ".installed-from");
const BUILT = join("dist", ".built-from");

install();
build();
run(process.argv.slice(2));

function install() {
  const wanted = digest(["package.json", "package-lock.json"].map(file => readFileSync(file)));
  if (readIfThere(INSTALLED) === wanted) return;
  say("installing packages (once, about a minute)");
  must("npm", ["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"], {
    shell: process.platform === "win32",
  });
  writeFileSync(INSTALLED, wanted);
}

function build() {
  const wanted = digest(
    ["tsconfig.json", "package-lock.json", ...filesUnder("src")].map(file => `${file} ${stampOf(file)}`),
  );
  if (readIfThere(BUILT) === wanted) return;
  say("building");
  rmSync("dist", { recursive: true, force: true });
  must(node(), [join("node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.json"]);
  mkdirSync("dist", { recursive: true });
  writeFileSync(BUILT, wanted);
}

function run(args) {
  if (args.length === 0) return;
  // UV_THREADPOOL_SIZE: files, DNS and Argon2 share one pool; with its default of 4, password checks would stall every read.
  // MALLOC_ARENA_MAX and the semi-space: a server that streams needs little memory; these keep what it frees from lying
  // idle (measured with 8 uploads at once: 300 MB in place of 350). The Dockerfile sets the same.
  const env = {
    UV_THREADPOOL_SIZE: "16",
    MALLOC_ARENA_MAX: "2",
    NODE_OPTIONS: "--max-semi-space-size=4",
    ...process.env,
  };
  const child = spawn(node(), args, { stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (signal === "SIGINT" ? 2 : 15);
  });
}

/** Node 24 from the `node` package, or the one that runs this if the package has none for this platform. */
function node() {
  return existsSync(NODE) ? NODE : process.execPath;
}

function must(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], ...options });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap(entry =>
      entry.isDirectory() ? filesUnder(join(folder, entry.name)) : [join(folder, entry.name)],
    )
    .sort();
}

function stampOf(file) {
  const { mtimeMs, size } = statSync(file);
  return `${mtimeMs} ${size}`;
}

function digest(parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}

function say(words) {
  process.stderr.write(`scattervault: ${words}\n`);
}
