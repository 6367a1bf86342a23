/**
 * `npm run bench:admission`: what 200 retrievals at once do to everyone else. `/readyz` and a download, first while nobody
 * tries a password, then while the queue of passwords is full. By hand on a quiet machine, not a test.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { machineFacts } from "./machine.mjs";
import { stopAll } from "./processes.mjs";
import { startServer } from "./server.mjs";
import { MIB, settings } from "./settings.mjs";
import { median } from "./statistics.mjs";

const PASSWORD = "correct horse battery";
const FILE_BYTES = Math.min(settings.bytes, 256 * MIB);
const ROUNDS = settings.rounds;
const PROBES = 100;
const RETRIEVALS = 200;
const AIM_READY_MS = 100;
const AIM_RATIO = 0.8;

const folder = await mkdtemp(join(settings.folder, "sv-bench-"));
try {
  await run();
} finally {
  await stopAll();
  await rm(folder, { recursive: true, force: true });
}

async function run() {
  for (const line of machineFacts(folder).text) console.log(`  ${line}`);
  const rounds = [];
  for (let round = 1; round <= ROUNDS; round++) {
    process.stderr.write(`  … round ${round} of ${ROUNDS}\n`);
    rounds.push(await measure());
  }
  report(rounds);
}

/** One server, alone and then crowded; it is stopped with its queue still full. */
async function measure() {
  const { url, pid, stop } = await startServer(folder);
  const hash = await upload(url);
  const link = (await retrieve(url, hash)).download_link;
  const idle = { ready: await probe(url), speed: await downloadSpeed(link) };
  const crowd = startCrowd(url, hash);
  await crowd.isFull;
  const busy = { ready: await probe(url), speed: await downloadSpeed(link) };
  crowd.leave();
  const peak = await peakBytes(pid);
  await stop();
  return { idle, busy, counts: crowd.counts, peak };
}

function report(rounds) {
  const of = pick => median(rounds.map(pick));
  const counts = rounds.reduce(
    (sum, { counts }) => ({ ok: sum.ok + counts.ok, busy: sum.busy + counts.busy }),
    {
      ok: 0,
      busy: 0,
    },
  );
  const peak = Math.max(...rounds.map(({ peak }) => peak));
  const ready = of(({ busy }) => percentile(busy.ready, 99));
  const ratio = of(({ idle, busy }) => busy.speed / idle.speed);
  console.log(
    `\n  median of ${ROUNDS} rounds                      idle      ${RETRIEVALS} retrievals at once`,
  );
  for (const percent of [50, 99]) {
    const [idle, busy] = ["idle", "busy"].map(when => of(round => percentile(round[when].ready, percent)));
    console.log(
      `  /readyz p${percent}, ms                  ${idle.toFixed(1).padStart(10)}${busy.toFixed(1).padStart(10)}`,
    );
  }
  const [idle, busy] = ["idle", "busy"].map(when => of(round => round[when].speed / 1e6));
  console.log(
    `  download of ${FILE_BYTES / MIB} MiB, MB/s       ${idle.toFixed(0).padStart(10)}${busy.toFixed(0).padStart(10)}`,
  );
  console.log(
    `  retrievals answered: ${counts.ok} with a link, ${counts.busy} with 503; peak memory ${(peak / 1e6).toFixed(0)} MB`,
  );
  console.log(`  load of the machine after the run ${loadavg()[0].toFixed(2)}\n`);
  aim(`/readyz under ${AIM_READY_MS} ms at p99`, ready.toFixed(1), ready < AIM_READY_MS);
  aim(`downloads at least ${AIM_RATIO} × as fast as alone`, ratio.toFixed(2), ratio >= AIM_RATIO);
}

/** Keeps 200 retrievals under way; who is told 503 comes again after a moment, as a client would. */
function startCrowd(url, hash) {
  const counts = { ok: 0, busy: 0 };
  let isOver = false;
  const full = Promise.withResolvers();
  const one = async () => {
    while (!isOver) {
      const { status } = await retrieve(url, hash).catch(() => ({ status: "cut" })); // by the end of the round
      if (status === "success") counts.ok++;
      else counts.busy++;
      if (counts.busy >= RETRIEVALS / 2) full.resolve();
      if (status !== "success") await sleep(1000);
    }
  };
  for (let i = 0; i < RETRIEVALS; i++) void one();
  const leave = () => {
    isOver = true;
  };
  return { counts, isFull: full.promise, leave };
}

/** Milliseconds of so many asks, one after another. */
async function probe(url) {
  const times = [];
  for (let i = 0; i < PROBES; i++) {
    const began = performance.now();
    const { status } = await ask(`${url}/readyz`, {});
    if (status !== 200) throw new Error(`/readyz said ${status}`);
    times.push(performance.now() - began);
  }
  return times;
}

async function downloadSpeed(link) {
  const began = performance.now();
  const { bytes } = await ask(link, {});
  if (bytes !== FILE_BYTES) throw new Error(`${bytes} bytes came`);
  return (bytes * 1000) / (performance.now() - began);
}

async function upload(url) {
  const form = new FormData();
  form.set("password", PASSWORD);
  form.set("file", new Blob([new Uint8Array(FILE_BYTES)]), "file");
  const answer = await fetch(`${url}/api/upload`, { method: "POST", body: form });
  return (await answer.json()).hash;
}

async function retrieve(url, hash) {
  const headers = { "File-Password": Buffer.from(PASSWORD).toString("base64") };
  return JSON.parse((await ask(`${url}/api/retrieve/${hash}`, headers)).text);
}

/** A GET on a connection of its own; a body longer than a page is counted and dropped. */
function ask(url, headers) {
  return new Promise((resolve, reject) => {
    request(url, { headers, agent: false }, answer => {
      let bytes = 0;
      let text = "";
      answer.on("data", piece => {
        bytes += piece.length;
        if (bytes < 4096) text += piece;
      });
      answer.once("end", () => resolve({ status: answer.statusCode, bytes, text })).once("error", reject);
    })
      .once("error", reject)
      .end();
  });
}

function percentile(values, percent) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1)];
}

async function peakBytes(pid) {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

function aim(text, value, isMet) {
  console.log(`  aim: ${text}: ${value}, ${isMet ? "met" : "MISSED"}`);
}
