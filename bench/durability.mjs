/**
 * `npm run bench:durability`: what surviving two lost buckets costs. Uploads with parity (4+2 over six folders) beside
 * uploads without, downloads with two buckets gone or emptied beside downloads with all, and how fast everything is read
 * again and rebuilt. Each in turn, round by round. Files without parity are an installation of their own, since nothing
 * brings them back.
 */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { DiskBucket } from "../dist/buckets/disk.js";
import { startEmbedded } from "../dist/database/embedded.js";
import { machineFacts, settle } from "./machine.mjs";
import { runClient, stopAll } from "./processes.mjs";
import { clearData, dataDirOf, PROGRAM, startServer } from "./server.mjs";
import { settings } from "./settings.mjs";
import { median, summary } from "./statistics.mjs";

const AWAY = ["2", "5"];
const folder = await mkdtemp(join(settings.folder, "sv-bench-"));
const postgres = await startEmbedded({
  dataDir: join(folder, "postgres"),
  log: { info() {}, warn: console.warn, error: console.error },
});
const env = { DATABASE_URL: postgres.url };
const unprotected = join(folder, "unprotected");
await mkdir(unprotected);
try {
  await run();
} finally {
  await stopAll();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
}

async function run() {
  const { bytes, rounds } = settings;
  for (const line of machineFacts(folder).text) console.log(line);
  console.log(
    `files of ${bytes / 2 ** 20} MiB, ${rounds} rounds; MB/s of plain bytes, median (least – greatest)\n`,
  );
  command("migrate");
  const speeds = { none: [], parity: [], healthy: [], gone: [], emptied: [] };
  for (let round = 0; round < rounds; round++) {
    await upload({ of: unprotected, settings: { PARITY: "none" }, speeds: speeds.none });
    await clearData(unprotected);
    const hash = await upload({ of: folder, settings: { ...env, PARITY: "4+2" }, speeds: speeds.parity });
    await lose(hash, speeds.gone, "gone", speeds.healthy);
    await lose(hash, speeds.emptied, "emptied", speeds.healthy);
  }
  line("upload, PARITY=none", speeds.none);
  line("upload, PARITY=4+2", speeds.parity);
  aim("with parity, of without", median(speeds.parity) / median(speeds.none), 0.75);
  line("download, six buckets", speeds.healthy);
  line("download, two of six gone", speeds.gone);
  aim("degraded, of healthy", median(speeds.gone) / median(speeds.healthy), 0.6);
  line("download, two of six emptied", speeds.emptied);
  aim("degraded, of healthy", median(speeds.emptied) / median(speeds.healthy), 0.6);

  const read = timed(() => command("scrub"));
  console.log(
    `\nscrub by hand: ${megabytes(read.counts.checkedBytes, read.seconds)} MB/s of stored bytes, ${read.counts.checked} objects`,
  );
  for (const name of AWAY) await rm(join(bucketsOf(folder), name), { recursive: true });
  const repaired = timed(() => command("scrub"));
  const rebuilt = repaired.counts.checkedBytes * (repaired.counts.repaired / repaired.counts.checked);
  console.log(
    `two of six buckets emptied: ${repaired.counts.repaired} chunks rebuilt, ${megabytes(rebuilt, repaired.seconds)} MB/s of what was lost, reading the rest included`,
  );
  if (repaired.counts.lost + repaired.counts.unplaced > 0) throw new Error(JSON.stringify(repaired.counts));
}

async function upload({ of, settings: how, speeds }) {
  const server = await startServer(of, how);
  settle(folder, 1.5 * settings.bytes);
  const { hash, seconds } = await runClient({ task: "upload", url: server.url, bytes: settings.bytes });
  speeds.push(settings.bytes / 1e6 / seconds);
  await server.stop();
  return hash;
}

/** A download while all buckets are there, and one after two of them are lost under the running server. */
async function lose(hash, speeds, how, healthySpeeds) {
  const server = await startServer(folder, env);
  healthySpeeds.push(await downloadSpeed(server, hash));
  for (const name of AWAY) {
    await rename(join(bucketsOf(folder), name), join(folder, `away-${name}`));
    if (how === "emptied") await DiskBucket.open(name, join(bucketsOf(folder), name));
  }
  speeds.push(await downloadSpeed(server, hash));
  await server.stop();
  for (const name of AWAY) {
    await rm(join(bucketsOf(folder), name), { recursive: true, force: true });
    await rename(join(folder, `away-${name}`), join(bucketsOf(folder), name));
  }
}

async function downloadSpeed({ url }, hash) {
  settle(folder, settings.bytes);
  const { seconds } = await runClient({ task: "download", url, hash, bytes: settings.bytes });
  return settings.bytes / 1e6 / seconds;
}

function bucketsOf(of) {
  return join(dataDirOf(of), "buckets");
}

/** A command over the same installation; what it prints last. */
function command(name) {
  const output = execFileSync(process.execPath, [PROGRAM, name], {
    env: { ...process.env, ...env, DATA_DIR: dataDirOf(folder), LOG_LEVEL: "silent" },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return output.trim() === "" ? {} : JSON.parse(output.trim().split("\n").at(-1));
}

function timed(act) {
  const began = performance.now();
  const counts = act();
  return { counts, seconds: (performance.now() - began) / 1000 };
}

function megabytes(bytes, seconds) {
  return (bytes / 1e6 / seconds).toFixed(0);
}

function line(what, speeds) {
  console.log(`${what.padEnd(28)} ${summary(speeds)}`);
}

function aim(what, ratio, least) {
  console.log(`  ${what}: ${ratio.toFixed(2)} ×, aim ${least}: ${ratio >= least ? "met" : "MISSED"}`);
}
