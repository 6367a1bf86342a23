#!/usr/bin/env node
/**
 * The table of docs/durability.md: how likely a file is lost when each of N buckets is lost with probability p, all others
 * stay, and nothing is repaired meanwhile. Exact: whole numbers over one denominator, rounded once, when they are printed.
 */
const PROFILES = [
  { name: "none", dataChunks: 4, parityChunks: 0 }, // what PARITY=none makes of six buckets and more
  { name: "1+1", dataChunks: 1, parityChunks: 1 },
  { name: "1+2", dataChunks: 1, parityChunks: 2 },
  { name: "2+2", dataChunks: 2, parityChunks: 2 },
  { name: "3+2", dataChunks: 3, parityChunks: 2 },
  { name: "4+2", dataChunks: 4, parityChunks: 2 },
];
const BUCKET_COUNTS = [6, 12];
const LOSSES = [
  { name: "1 %", one: 1n, of: 100n },
  { name: "0.1 %", one: 1n, of: 1000n },
];
const FILE_CHUNKS = [1, 100, 10_000];
const DIGITS = 2;

const columns = LOSSES.flatMap(loss => FILE_CHUNKS.map(chunks => ({ loss, chunks })));
const header = columns.map(({ loss, chunks }) => `${loss.name}, ${chunks.toLocaleString("en")}`);
const rows = PROFILES.flatMap(profile =>
  BUCKET_COUNTS.map(buckets => [
    profile.name,
    String(buckets),
    ...columns.map(({ loss, chunks }) => rounded(lossOf({ ...profile, buckets, loss, chunks }))),
  ]),
);
console.log(line(["profile", "N", ...header]));
console.log(line(["---", "---", ...header.map(() => "---")]));
for (const row of rows) console.log(line(row));

/**
 * Given that `lost` buckets are lost, stripes are independent: each has drawn its own buckets. Not given that, they are not.
 * The last stripe has fewer data chunks where the file's do not fill it, and as many parity chunks.
 */
function lossOf({ buckets, dataChunks, parityChunks, loss, chunks }) {
  const fullStripes = Math.ceil(chunks / dataChunks) - 1;
  const width = dataChunks + parityChunks;
  const lastWidth = chunks - fullStripes * dataChunks + parityChunks;
  const all = choose(buckets, width) ** BigInt(fullStripes) * choose(buckets, lastWidth);
  let losing = 0n;
  for (let lost = 0; lost <= buckets; lost++) {
    const ways =
      choose(buckets, lost) * loss.one ** BigInt(lost) * (loss.of - loss.one) ** BigInt(buckets - lost);
    const keeping =
      placesThatKeep({ buckets, lost, width, parityChunks }) ** BigInt(fullStripes) *
      placesThatKeep({ buckets, lost, width: lastWidth, parityChunks });
    losing += ways * (all - keeping);
  }
  return { numerator: losing, denominator: loss.of ** BigInt(buckets) * all };
}

/** Of the choices of `width` different buckets, those with at most `parityChunks` lost ones among them. */
function placesThatKeep({ buckets, lost, width, parityChunks }) {
  let places = 0n;
  for (let hit = 0; hit <= parityChunks; hit++)
    places += choose(lost, hit) * choose(buckets - lost, width - hit);
  return places;
}

function choose(n, k) {
  if (k < 0 || k > n) return 0n;
  let result = 1n;
  for (let i = 0; i < k; i++) result = (result * BigInt(n - i)) / BigInt(i + 1);
  return result;
}

/** As a power of ten: 2.0e-5. Nothing in the table is below 10^-30. */
function rounded({ numerator, denominator }) {
  return (Number((numerator * 10n ** 40n) / denominator) / 1e40).toExponential(DIGITS - 1);
}

function line(cells) {
  return `| ${cells.join(" | ")} |`;
}
