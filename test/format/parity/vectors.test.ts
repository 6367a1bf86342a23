import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { accumulate, parityOf } from "../../../src/format/parity/encode.js";
import { rebuild } from "../../../src/format/parity/rebuild.js";
import { bytesOf, DEFAULT_PROFILES } from "../../support/stripes.js";

/** Written once, by test/support/parity.py and never by the code under test (docs/format.md §13). */
const VECTORS = join(import.meta.dirname, "../../vectors/sv1-parity.json");

interface StripeVector {
  readonly name: string;
  readonly dataChunks: number;
  readonly parityChunks: number;
  /** In hex; fewer than `dataChunks` of a last stripe. */
  readonly data: readonly string[];
  readonly parity: readonly string[];
}

const { stripes } = JSON.parse(readFileSync(VECTORS, "utf8")) as { stripes: StripeVector[] };

describe("a stripe of the vectors", () => {
  test.each(stripes)("has our parity: $name", ({ dataChunks, parityChunks, data, parity }) => {
    const profile = { dataChunks, parityChunks };
    const chunks = data.map(unhex);
    expect(parityOf(profile, chunks).map(hex)).toEqual(parity);

    const into = parity.map(text => new Uint8Array(text.length / 2));
    for (const [shard, chunk] of chunks.entries()) accumulate(profile, shard, chunk, into);
    expect(into.map(hex)).toEqual(parity);
  });

  test.each(stripes)("gives back what is lost: $name", ({ dataChunks, parityChunks, data, parity }) => {
    const absent = new Array<string>(dataChunks - data.length).fill("");
    const shards = [...data, ...absent, ...parity].map(unhex);
    const lost = [...data.keys()].slice(0, parityChunks);
    const present = new Map(
      [...shards.entries()].filter(([shard, { length }]) => length && !lost.includes(shard)),
    );
    const shardBytes = shards.map(({ length }) => length);
    const profile = { dataChunks, parityChunks };
    expect(rebuild({ profile, shardBytes, present }, lost).map(hex)).toEqual(data.slice(0, lost.length));
  });
});

test("the worked numbers of docs/format.md §12 are right", () => {
  const profile = { dataChunks: 2, parityChunks: 2 };
  expect(parityOf(profile, [unhex("010280"), unhex("03ff")]).map(hex)).toEqual(["8f5440", "7b048b"]);
  const present = new Map([
    [1, unhex("03ff")],
    [3, unhex("7b048b")],
  ]);
  expect(rebuild({ profile, shardBytes: [3, 2, 3, 3], present }, [0, 2]).map(hex)).toEqual([
    "010280",
    "8f5440",
  ]);
});

describe("a second implementation, which follows docs/format.md alone,", () => {
  if (spawnSync("python3", ["--version"]).status !== 0) {
    if (process.env["CI"] === "true") {
      test("is there", () => {
        throw new Error("this test needs python3");
      });
    } else {
      test.skip("NOT RUN: it needs python3", () => {});
    }
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "sv-parity-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const check = (vectors: StripeVector[]) => {
    const path = join(folder, "stripes.json");
    writeFileSync(path, JSON.stringify({ stripes: vectors }));
    const script = join(import.meta.dirname, "../../support/parity.py");
    return spawnSync("python3", [script, "check", path], { encoding: "utf8" });
  };

  test("encodes every vector to the same, and rebuilds it from any k shards", () => {
    const { status, stdout } = check(stripes);
    expect(status).toBe(0);
    const ways = Object.fromEntries(
      stdout
        .trim()
        .split("\n")
        .map(line => Object.values(JSON.parse(line))),
    );
    expect(Object.keys(ways)).toEqual(stripes.map(({ name }) => name));
    expect(ways["4+2: a full stripe"]).toBe(15);
  });

  test("does the same with stripes that we have made", () => {
    const ours = DEFAULT_PROFILES.flatMap(([k, m]) => {
      return [1, k].map(count => {
        const data = Array.from({ length: count }, (_, i) =>
          bytesOf(`ours ${i}`, i === count - 1 ? 77 : 150),
        );
        return vectorOf(k, m, data);
      });
    });
    const { status, stderr } = check(ours);
    expect([status, stderr]).toEqual([0, ""]);
  });

  test("refuses a stripe with one bit of one chunk changed", () => {
    const right = vectorOf(2, 2, [bytesOf("a", 20), bytesOf("b", 20)]);
    const [first = new Uint8Array(), ...rest] = right.parity.map(unhex);
    const flipped = first.map((value, at) => (at === 7 ? value ^ 1 : value));
    const { status, stderr } = check([{ ...right, parity: [flipped, ...rest].map(hex) }]);
    expect([status, stderr]).toEqual([1, expect.stringContaining("the parity differs")]);
  });
});

function vectorOf(dataChunks: number, parityChunks: number, data: Uint8Array[]): StripeVector {
  const parity = parityOf({ dataChunks, parityChunks }, data);
  const name = `${dataChunks}+${parityChunks} of ${data.length}`;
  return { name, dataChunks, parityChunks, data: data.map(hex), parity: parity.map(hex) };
}

function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
