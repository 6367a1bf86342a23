/** Memory and event loop of the server under one scenario after the other, each in a fresh server. */
import { peakBytes, sampleResident } from "./memory.mjs";
import { uploadOverTus, uploadToTus, warmUp } from "./baselines.mjs";
import { settle } from "./machine.mjs";
import { runClient } from "./processes.mjs";
import { clearData, startServer } from "./server.mjs";
import { median } from "./statistics.mjs";

/** `count` files of `bytes` in or out, at once unless `inTurn`. */
export function scenariosOf({ bytes, parallelBytes, parallelCount, tusParallelBytes, tusParallelCount }) {
  const scenario = (direction, count, bytes) => ({ direction, count, bytes });
  return [
    scenario("uploads", 1, Math.ceil(bytes / 8)),
    scenario("uploads", 1, bytes),
    scenario("uploads", parallelCount, parallelBytes),
    scenario("downloads", 1, bytes),
    scenario("downloads", parallelCount, parallelBytes),
    // The same bytes as one upload, as many, and as many of which each is alone.
    scenario("tusUploads", 1, tusParallelBytes * tusParallelCount),
    scenario("tusUploads", tusParallelCount, tusParallelBytes),
    { ...scenario("tusUploads", tusParallelCount, tusParallelBytes), inTurn: true },
  ];
}

export async function measureLoad(folder, { direction, count, bytes, inTurn }) {
  const hash = direction === "downloads" ? await storeFile(folder, bytes) : null;
  const server = await startServer(folder);
  try {
    const { url, pid } = server;
    // Two speeds are compared, beside a peer's that is warmed up; the other scenarios show a server that has just started.
    if (direction === "tusUploads") await warmUp(folder, url, count);
    await server.loop(); // what the start did is not counted
    const resident = sampleResident(pid);
    const { seconds } = await run(folder, { direction, url, bytes, hash, count, inTurn });
    return {
      residentBytes: median(resident.stop()),
      peakBytes: peakBytes(pid),
      loop: await server.loop(),
      speed: (count * bytes) / 1e6 / seconds,
    };
  } finally {
    await server.stop();
    await clearData(folder);
  }
}

/** MB/s of the same uploads at plain @tus/server; null where the scenario is none over tus. */
export async function measurePlain(folder, { direction, count, bytes, inTurn }) {
  if (direction !== "tusUploads") return null;
  return (count * bytes) / 1e6 / (await uploadToTus(folder, { bytes, count, inTurn }));
}

function run(folder, { direction, ...what }) {
  if (direction === "tusUploads") return uploadOverTus(folder, what);
  settle(folder, what.count * what.bytes);
  return runClient({ task: direction, ...what });
}

/** By a server of its own, so that the one that is measured has only ever read. */
async function storeFile(folder, bytes) {
  const server = await startServer(folder);
  const { hash } = await runClient({ task: "upload", url: server.url, bytes });
  await server.stop();
  return hash;
}
