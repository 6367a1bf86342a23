/**
 * `npm run bench`: how fast and how large the built server is on this machine, beside what the same bytes cost without
 * it. By hand on a quiet machine, not a test. BENCH_MIB=64 for a short run; settings.mjs has the other knobs.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { measureLoad, measurePlain, scenariosOf } from "./load.mjs";
import { machineFacts } from "./machine.mjs";
import { stopAll } from "./processes.mjs";
import { printLoad, printSpeed, printTus, wordsOf } from "./report.mjs";
import { MIB, settings } from "./settings.mjs";
import { measureSpeed } from "./speed.mjs";

const folder = await mkdtemp(join(settings.folder, "sv-bench-"));
const leave = async () => {
  await stopAll();
  await rm(folder, { recursive: true, force: true });
};
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => void leave().then(() => process.exit(130)));

try {
  await run();
} catch (error) {
  console.error(error);
  console.error(
    "The server's last words:\n",
    await readFile(join(folder, "server.log"), "utf8").then(lastLines, String),
  );
  process.exitCode = 1;
}
await leave();

async function run() {
  const machine = machineFacts(folder);
  const needed = Math.max(
    settings.bytes * (3 * settings.rounds + 5),
    settings.parallelBytes * settings.parallelCount * 2.4,
    settings.tusParallelBytes * settings.tusParallelCount * 2.4,
  );
  if (machine.freeBytes < needed)
    throw new Error(`${folder} has too little room: ${needed} bytes are needed`);

  console.log(
    `Scattervault on disk buckets, ${settings.bytes / MIB} MiB, each measure ${settings.rounds} times, interleaved`,
  );
  for (const line of machine.text) console.log(`  ${line}`);
  console.log("  client: node:http in a process of its own, on the same cores; MB = 10^6 bytes\n");

  const speeds = await measureSpeed(folder, settings, progress);
  printSpeed(speeds);
  printTus(speeds);

  const scenarios = scenariosOf(settings);
  const results = scenarios.map(() => []);
  for (let round = 1; round <= settings.rounds; round++) {
    for (const [index, scenario] of scenarios.entries()) {
      progress(`round ${round}: ${wordsOf(scenario)}`);
      const plainSpeed = await measurePlain(folder, scenario);
      results[index].push({ ...(await measureLoad(folder, scenario)), plainSpeed });
    }
  }
  printLoad(scenarios.map((scenario, index) => ({ ...scenario, results: results[index] })));
}

function lastLines(text) {
  return text.split("\n").slice(-20).join("\n");
}

function progress(line) {
  process.stderr.write(`  … ${line}\n`);
}
