import { describe, expect, test } from "@jest/globals";
import { ArgonRuns } from "../../src/core/argon-runs.js";
import { Budget } from "../../src/core/budget.js";
import type { PasswordHasher } from "../../src/core/ports.js";
import type { PasswordParams } from "../../src/format/argon.js";
import { newFileId } from "../../src/format/id.js";

const MEMORY_KIB = 64;
const FILE = newFileId();

/** A hasher that ends its runs when it is told to, and knows how much memory they hold meanwhile. */
class GatedHasher implements PasswordHasher {
  readonly #open: { end: (error?: Error) => void; memoryKiB: number }[] = [];
  peakKiB = 0;

  async key(_password: string, { memoryKiB }: PasswordParams): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.#open.push({ memoryKiB, end: error => (error ? reject(error) : resolve(new Uint8Array(32))) });
    this.peakKiB = Math.max(
      this.peakKiB,
      this.#open.reduce((sum, run) => sum + run.memoryKiB, 0),
    );
    return promise;
  }

  /** Ends the run that began first. */
  async end(error?: Error): Promise<void> {
    this.#open.shift()?.end(error);
    await settle();
  }
}

const settle = () => new Promise(resolve => setImmediate(resolve));

function argonOf(atOnce: number, maxWaiters: number) {
  const hasher = new GatedHasher();
  const argon = new ArgonRuns(hasher, new Budget(atOnce * MEMORY_KIB, { maxWaiters, idleGraceMs: 1000 }));
  const results: string[] = [];
  const run = (memoryKiB = MEMORY_KIB) => {
    const params = { memoryKiB, passes: 1, lanes: 1, pepperId: 0, salt: new Uint8Array(16) };
    void argon.key("password", params, FILE).then(
      () => results.push("done"),
      error => results.push(error.code ?? error.message),
    );
  };
  return { hasher, argon, results, run };
}

describe("of 200 passwords at once", () => {
  test("so many are hashed as the memory allows, so many wait, and the others are told BUSY without waiting", async () => {
    const { hasher, argon, results, run } = argonOf(2, 64);
    for (let i = 0; i < 200; i++) run();
    await settle();
    expect(argon.counts).toMatchObject({ runs: 2, running: 2, waiting: 64, rejected: 134 });
    expect(results).toEqual(Array(134).fill("BUSY"));
    for (let i = 0; i < 66; i++) await hasher.end();
    expect(argon.counts).toMatchObject({ runs: 66, running: 0, waiting: 0, rejected: 134 });
    expect(results.filter(result => result === "done")).toHaveLength(66);
    expect(hasher.peakKiB).toBe(2 * MEMORY_KIB);
  });
});

test("a run that costs more memory than there is runs alone", async () => {
  const { hasher, argon, run } = argonOf(2, 64);
  run();
  run(10 * MEMORY_KIB);
  run();
  await settle();
  expect(argon.counts).toMatchObject({ running: 1, waiting: 2 });
  await hasher.end();
  expect(argon.counts).toMatchObject({ running: 1, waiting: 1 });
  await hasher.end();
  expect(argon.counts).toMatchObject({ running: 1, waiting: 0 });
});

test("a run that fails gives its place to the next, and is counted as any other", async () => {
  const { hasher, argon, results, run } = argonOf(1, 64);
  run();
  run();
  await settle();
  await hasher.end(new Error("the thread died"));
  expect(results).toEqual(["the thread died"]);
  expect(argon.counts).toMatchObject({ runs: 2, running: 1, waiting: 0, rejected: 0 });
  await hasher.end();
  expect(argon.counts).toMatchObject({ running: 0 });
});
