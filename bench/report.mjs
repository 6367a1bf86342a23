/** What a run found, in tables, and whether the aims are met. */
import { MIB } from "./settings.mjs";
import { median, summary } from "./statistics.mjs";

const AIMS = { uploadToTus: 0.5, downloadMBs: 300, peakMB: 350, loopP99Ms: 50 };

const LINES = {
  upload: "upload over REST, fsynced",
  download: "download by link",
  copy: "(a) cp + fsync of the same file",
  seal: "(b) AES-256-GCM alone, one thread, 256 KiB segments",
  tus: "(c) one PATCH to @tus/server + @tus/file-store, no fsync",
};

export function printSpeed(speeds) {
  const upload = median(speeds.upload);
  const download = median(speeds.download);
  console.log("\nSpeed".padEnd(59), "MB/s  (least – greatest)    upload is   download is");
  for (const [name, line] of Object.entries(LINES)) {
    const of = median(speeds[name]);
    const ratios = "upload download".includes(name)
      ? ""
      : `${ratio(upload / of)} ×     ${ratio(download / of)} ×`;
    console.log(`  ${line.padEnd(56)}${summary(speeds[name]).padEnd(27)}${ratios}`);
  }
  console.log();
  aim(
    `upload at least ${AIMS.uploadToTus} × (c)`,
    upload / median(speeds.tus),
    value => value >= AIMS.uploadToTus,
    2,
  );
  aim(`download at least ${AIMS.downloadMBs} MB/s`, download, value => value >= AIMS.downloadMBs);
}

/** `rows`: scenarios with their results. */
export function printLoad(rows) {
  console.log(
    "\nServer process (without PostgreSQL)    peak MB (VmHWM)      median MB (VmRSS)    MB/s in all     loop delay ms: p50   p99   max",
  );
  for (const { count, direction, bytes, results } of rows) {
    const of = pick => results.map(pick);
    const loop = name =>
      median(of(({ loop }) => loop[name]))
        .toFixed(1)
        .padStart(6);
    const what = `${count} × ${direction} of ${Math.ceil(bytes / MIB)} MiB`;
    const peak = summary(of(({ peakBytes }) => peakBytes / 1e6));
    const resident = summary(of(({ residentBytes }) => residentBytes / 1e6));
    const speed = summary(of(({ speed }) => speed));
    console.log(
      `  ${what.padEnd(32)}${peak.padEnd(22)}${resident.padEnd(21)}${speed.padEnd(28)}${loop("p50")}${loop("p99")}${loop("max")}`,
    );
  }
  console.log();
  const worst = pick => Math.max(...rows.flatMap(({ results }) => results.map(pick)));
  aim(
    `peak memory under ${AIMS.peakMB} MB, the worst of all`,
    worst(({ peakBytes }) => peakBytes / 1e6),
    value => value < AIMS.peakMB,
  );
  aim(
    `event loop delay under ${AIMS.loopP99Ms} ms at p99, the worst of all`,
    worst(({ loop }) => loop.p99),
    value => value <= AIMS.loopP99Ms,
  );
}

function aim(text, value, isMet, digits = 0) {
  console.log(`  aim: ${text}: ${value.toFixed(digits)}, ${isMet(value) ? "met" : "MISSED"}`);
}

function ratio(value) {
  return value.toFixed(2).padStart(7);
}
