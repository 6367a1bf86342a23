/**
 * `npm run bench:parity`: GB/s of data encoded and rebuilt by each profile, on one thread: the kernel in
 * WebAssembly, the same in TypeScript's tables, and a library in WebAssembly made from Rust, which has another matrix and
 * so other parity chunks, but as much to do. Each in turn, round by round, so that drift hits all alike.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ReedSolomonErasure } from "@subspace/reed-solomon-erasure.wasm/dist/index.js";
import { coefficients } from "../dist/format/parity/code.js";
import { accumulate, parityOf } from "../dist/format/parity/encode.js";
import { kernel } from "../dist/format/parity/kernel.js";
import { rebuild } from "../dist/format/parity/rebuild.js";
import { tableKernel } from "../dist/format/parity/table-kernel.js";
import { machineFacts } from "./machine.mjs";

const CHUNK_BYTES = 1024 * 1024;
const ROUNDS = 40;
const PROFILES = [
  [1, 1],
  [1, 2],
  [2, 2],
  [3, 2],
  [4, 2],
  [10, 4],
];

const root = join(import.meta.dirname, "..");
const libraryCode = readFileSync(
  join(root, "node_modules/@subspace/reed-solomon-erasure.wasm/dist/reed_solomon_erasure_bg.wasm"),
);
const library = ReedSolomonErasure.fromBytes(libraryCode);

if (kernel() === tableKernel) throw new Error("WebAssembly has no SIMD here: there is nothing to compare");
for (const line of machineFacts(root).text.slice(0, 2)) console.log(line);
console.log(
  `GB/s of data, chunks of 1 MiB, best of ${ROUNDS} rounds (others can only make it slower); rebuild: as many data chunks as can be lost\n`,
);
console.log(
  "         accumulate    encode   rebuild |  tables: encode   rebuild | library: encode   rebuild",
);
for (const [k, m] of PROFILES) {
  const speeds = measure(k, m);
  const columns = Object.values(speeds).map(speed => speed.toFixed(2).padStart(8));
  const [accumulated, encoded, rebuilt, tablesEncode, tablesRebuild, libraryEncode, libraryRebuild] = columns;
  console.log(
    `${`${k}+${m}`.padEnd(8)} ${accumulated}  ${encoded}  ${rebuilt} | ${tablesEncode}  ${tablesRebuild} | ${libraryEncode}  ${libraryRebuild}` +
      `   encode ${(speeds.encode / speeds.tablesEncode).toFixed(1)}× tables, ${(speeds.encode / speeds.libraryEncode).toFixed(1)}× library`,
  );
}

function measure(k, m) {
  const profile = { dataChunks: k, parityChunks: m };
  const data = Array.from({ length: k }, () => randomBytes(CHUNK_BYTES));
  const parity = parityOf(profile, data);
  const into = parity.map(() => new Uint8Array(CHUNK_BYTES));
  const matrix = parity.map((_, j) => coefficients(profile, k + j, k));

  const shards = [...data, ...parity];
  const lost = [...data.keys()].slice(0, m);
  const present = new Map([...shards.entries()].filter(([shard]) => !lost.includes(shard)));
  const stripe = { profile, shardBytes: shards.map(() => CHUNK_BYTES), present };
  // The tables do the same amount of work whatever the factors, so the first parity rows stand for those of an inverse.
  const sources = [...present.values()].slice(0, k);
  const lostInto = lost.map(() => new Uint8Array(CHUNK_BYTES));
  const rows = lost.map((_, j) => matrix[j]);

  const flat = new Uint8Array(shards.length * CHUNK_BYTES);
  for (const [at, shard] of shards.entries()) flat.set(shard, at * CHUNK_BYTES);
  const available = shards.map((_, shard) => !lost.includes(shard));

  const tasks = {
    accumulate: () => {
      for (const [shard, chunk] of data.entries()) accumulate(profile, shard, chunk, into);
    },
    encode: () => parityOf(profile, data),
    rebuild: () => rebuild(stripe, lost),
    tablesEncode: () => tableKernel.multiply(matrix, data, into),
    tablesRebuild: () => tableKernel.multiply(rows, sources, lostInto),
    libraryEncode: () => library.encode(flat, k, m),
    libraryRebuild: fresh => fresh.reconstruct(flat, k, m, available),
  };
  for (const [at, bytes] of rebuild(stripe, lost).entries()) {
    if (Buffer.compare(bytes, data[lost[at]]) !== 0) throw new Error("what was rebuilt is not what was lost");
  }
  const seconds = Object.fromEntries(Object.keys(tasks).map(name => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, task] of Object.entries(tasks)) {
      // The library rebuilds once and may break its memory the second time ("memory access out of bounds"); encoding first
      // brings it the memory it needs.
      const fresh = ReedSolomonErasure.fromBytes(libraryCode);
      fresh.encode(flat, k, m);
      const start = performance.now();
      task(fresh);
      seconds[name].push((performance.now() - start) / 1000);
    }
  }
  return Object.fromEntries(
    Object.entries(seconds).map(([name, values]) => [name, (k * CHUNK_BYTES) / 1e9 / Math.min(...values)]),
  );
}
