#!/usr/bin/env node
/**
 * Runs `node <arguments>` the way this project needs it, from a fresh clone on: installs what the lock file says, builds
 * what the sources say, and then runs under Node 24, which comes with the `node` package. Does only what is out of date,
 * so it costs a few milliseconds when nothing is. Plain JavaScript for old Nodes: it must run before anything is installed.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
process.chdir(root);

const NODE = join("node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
const INSTALLED = join("node_modules", ".installed-from");
const BUILT = join("dist", ".built-from");
const PAGES = join("src", "console");
const BUILT_PAGES = join("dist", "console");

install();
buildServer();
buildPages();
run(process.argv.slice(2));

function install() {
  const wanted = digest([readFileSync("package-lock.json"), JSON.stringify(packagesAsked())]);
  const last = readIfThere(INSTALLED);
  if (last === wanted) return;
  // A line of "scripts" is no reason to install anew, nor is a lock file that says the same in other words.
  if (last !== null && isInstalled()) return writeFileSync(INSTALLED, wanted);
  say("installing packages (once, about a minute)");
  must("npm", ["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"], {
    shell: process.platform === "win32",
  });
  writeFileSync(INSTALLED, wanted);
}

/** What of package.json npm goes by. */
function packagesAsked() {
  const { scripts, ...asked } = JSON.parse(readFileSync("package.json", "utf8"));
  return asked;
}

/** Whether every package of the lock file lies here in its version. npm keeps a list; another platform's are not in it. */
function isInstalled() {
  const list = readIfThere(join("node_modules", ".package-lock.json"));
  if (list === null) return false;
  const here = JSON.parse(list).packages;
  const locked = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
  return Object.keys(locked).every(path => {
    if (path === "") return true;
    const { version, optional, devOptional } = locked[path];
    return here[path] ? here[path].version === version : Boolean(optional || devOptional);
  });
}

function buildServer() {
  const sources = filesUnder("src").filter(file => !isUnder(PAGES, file));
  const wanted = stampsOf(["tsconfig.json", "package-lock.json", ...sources]);
  if (readIfThere(BUILT) === wanted) return;
  say("building");
  for (const file of existsSync("dist") ? filesUnder("dist") : []) {
    if (!isUnder(BUILT_PAGES, file)) rmSync(file);
  }
  must(node(), [join("node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.json"]);
  mkdirSync("dist", { recursive: true });
  writeFileSync(BUILT, wanted);
}

/** Apart from the server: bundling takes many times as long as the compiler, and the pages change less often. */
function buildPages() {
  const wanted = stampsOf(["package-lock.json", ...filesUnder(PAGES)]);
  const stamp = join(BUILT_PAGES, ".built-from");
  if (readIfThere(stamp) === wanted) return;
  say("building the pages");
  must(node(), [
    join("node_modules", "vite", "bin", "vite.js"),
    "build",
    "--config",
    join(PAGES, "vite.config.ts"),
  ]);
  writeFileSync(stamp, wanted);
}

function run(args) {
  if (args.length === 0) return;
  // UV_THREADPOOL_SIZE: files, DNS and Argon2 share one pool; with its default of 4, password checks would stall every read.
  // The others: a server that streams needs little memory. MALLOC_ARENA_MAX and the semi-space keep what it frees from lying
  // idle; with the old space's default of gigabytes V8 lets garbage lie for a minute before it collects, as much as 100 MB of it
  // (measured with 8 uploads of 1 GiB at once: at most 300 MB in place of 420). The Dockerfile sets the same.
  // NODE_COMPILE_CACHE: what V8 has compiled once it need not compile at the next start, which is a quarter of one.
  const env = {
    NODE_COMPILE_CACHE: join(root, "node_modules", ".cache", "node"),
    UV_THREADPOOL_SIZE: "16",
    MALLOC_ARENA_MAX: "2",
    NODE_OPTIONS: "--max-semi-space-size=4 --max-old-space-size=512",
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

function isUnder(folder, file) {
  return file.startsWith(folder + sep);
}

function stampsOf(files) {
  return digest(
    files.map(file => {
      const { mtimeMs, size } = statSync(file);
      return `${file} ${mtimeMs} ${size}`;
    }),
  );
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
