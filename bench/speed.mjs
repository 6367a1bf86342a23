/**
 * MB/s of one file in and out, beside what the same bytes cost elsewhere; each once a round, so that drift hits all alike. Of
 * servers that have been at work: load.mjs measures those that have just started.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  WARM_BYTES,
  copyAndSync,
  hashAlone,
  sealAlone,
  uploadOverTus,
  uploadToTus,
  warmUp,
  writeFileToCopy,
} from "./baselines.mjs";
import { settle } from "./machine.mjs";
import { runClient } from "./processes.mjs";
import { clearData, startServer } from "./server.mjs";

export async function measureSpeed(folder, { bytes, rounds, tusPatchBytes }, say) {
  const fileToCopy = join(folder, "file-to-copy");
  await writeFileToCopy(fileToCopy, bytes);
  const server = await startServer(folder);
  const { url } = server;
  let hash = "";
  let tusHash = "";
  const overTus = async patchBytes => {
    const uploaded = await uploadOverTus(folder, { url, bytes, patchBytes });
    tusHash = uploaded.hash;
    return uploaded.seconds;
  };
  const measures = {
    upload: async () => {
      const uploaded = await runClient({ task: "upload", url, bytes });
      hash = uploaded.hash;
      return uploaded.seconds;
    },
    download: async () => (await runClient({ task: "download", url, hash, bytes })).seconds,
    copy: () => copyAndSync(fileToCopy),
    seal: () => sealAlone(bytes),
    hash: () => hashAlone(bytes),
    tus: () => uploadToTus(folder, { bytes }),
    tusUpload: () => overTus(bytes),
    tusPatches: () => uploadToTus(folder, { bytes, patchBytes: tusPatchBytes }),
    tusUploadPatches: () => overTus(tusPatchBytes),
  };
  await runClient({ task: "upload", url, bytes: WARM_BYTES });
  await warmUp(folder, url);
  const speeds = Object.fromEntries(Object.keys(measures).map(name => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const [name, measure] of Object.entries(measures)) {
      settle(folder, bytes);
      const speed = bytes / 1e6 / (await measure());
      speeds[name].push(speed);
      say(`round ${round}: ${name} ${speed.toFixed(0)} MB/s`);
    }
  }
  for (const stored of [hash, tusHash])
    await runClient({ task: "download", url, hash: stored, bytes, checks: true });
  say("what came back is what went in, byte by byte (not timed)");
  await server.stop();
  await clearData(folder);
  await rm(fileToCopy);
  return speeds;
}
