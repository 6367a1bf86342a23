/** What a run found, in tables, and whether the aims are met. */
import { MIB } from "./settings.mjs";
import { median, summary } from "./statistics.mjs";

const AIMS = {
  uploadToTus: 0.5,
  tusToTus: 0.7,
  downloadMBs: 300,
  peakMB: 350,
  loopP99Ms: 50,
  manyToAlone: 1,
};

const LINES = {
  upload: "upload over REST, fsynced",
  download: "download by link",
  copy: "(a) cp + fsync of the same file",
  seal: "(b) AES-256-GCM alone, one thread, 256 KiB segments",
  tus: "(c) one PATCH to @tus/server + @tus/file-store, no fsync",
  hash: "(d) SHA-256 alone, one thread",
};

export function printSpeed(speeds) {
  const upload = median(speeds.upload);
  const download = median(speeds.download);
  console.log("\nSpeed, servers warmed up".padEnd(59), "MB/s  (least – greatest)    upload is   download is");
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

const TUS_LINES = [
  ["in one PATCH", "tusUpload", "tus"],
  ["in PATCHes of 8 MiB", "tusUploadPatches", "tusPatches"],
];

/** Uploads over tus beside the same requests to plain @tus/server + @tus/file-store. */
export function printTus(speeds) {
  console.log(
    "\nUpload over tus, warmed up".padEnd(34),
    "MB/s                    plain, no fsync         ratio",
  );
  for (const [line, ours, plain] of TUS_LINES) {
    const of = ratio(median(speeds[ours]) / median(speeds[plain]));
    console.log(
      `  ${line.padEnd(30)}${summary(speeds[ours]).padEnd(26)}${summary(speeds[plain]).padEnd(24)}${of} ×`,
    );
  }
  console.log();
  aim(
    `one PATCH at least ${AIMS.tusToTus} × plain`,
    median(speeds.tusUpload) / median(speeds.tus),
    value => value >= AIMS.tusToTus,
    2,
  );
}

const DIRECTIONS = { uploads: "upload", downloads: "download", tusUploads: "tus upload" };

/** A scenario in a few words. */
export function wordsOf({ count, direction, bytes, inTurn }) {
  return `${count} × ${DIRECTIONS[direction]} of ${Math.ceil(bytes / MIB)} MiB${inTurn ? " in turn" : ""}`;
}

/** `rows`: scenarios with their results. */
export function printLoad(rows) {
  console.log(
    "\nServer (no PostgreSQL)                      peak MB (VmHWM)      median MB (VmRSS)    MB/s in all     loop delay ms: p50   p99   max",
  );
  for (const { results, ...scenario } of rows) {
    const of = pick => results.map(pick);
    const loop = name =>
      median(of(({ loop }) => loop[name]))
        .toFixed(1)
        .padStart(6);
    const peak = summary(of(({ peakBytes }) => peakBytes / 1e6));
    const resident = summary(of(({ residentBytes }) => residentBytes / 1e6));
    const speed = summary(of(({ speed }) => speed));
    console.log(
      `  ${wordsOf(scenario).padEnd(37)}${peak.padEnd(22)}${resident.padEnd(21)}${speed.padEnd(28)}${loop("p50")}${loop("p99")}${loop("max")}`,
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
  printTogether(rows.filter(({ direction }) => direction === "tusUploads"));
}

/** What it costs that uploads come at once: beside the same ones each alone, and beside one upload of all their bytes. */
function printTogether([one, many, inTurn]) {
  const speedOf = ({ results }) => median(results.map(({ speed }) => speed));
  const plainOf = ({ results }) => median(results.map(({ plainSpeed }) => plainSpeed));
  const peakOf = ({ results }) => median(results.map(result => result.peakBytes));
  aim(
    `${many.count} tus uploads at once in all at least as fast as each of them alone`,
    speedOf(many) / speedOf(inTurn),
    value => value >= AIMS.manyToAlone,
    2,
  );
  const lines = [
    [
      "beside one upload of all their bytes, which is one file to begin and to finish",
      speedOf(many),
      speedOf(one),
    ],
    ["the same two at plain @tus/server, warmed up: at once, and each alone", plainOf(many), plainOf(inTurn)],
    [
      "                                              at once, and one of all bytes",
      plainOf(many),
      plainOf(one),
    ],
  ];
  for (const [line, a, b] of lines)
    console.log(`       ${line}: ${a.toFixed(0)} of ${b.toFixed(0)} MB/s, ${(a / b).toFixed(2)}`);
  console.log(
    `       their peak memory beside that of one alone: ${(peakOf(many) / peakOf(one)).toFixed(2)} ×`,
  );
}

function aim(text, value, isMet, digits = 0) {
  console.log(`  aim: ${text}: ${value.toFixed(digits)}, ${isMet(value) ? "met" : "MISSED"}`);
}

function ratio(value) {
  return value.toFixed(2).padStart(7);
}
