import { describe, expect, test } from "@jest/globals";
import { Latencies } from "../../src/core/latencies.js";

const BUCKET = 1;

function having(ms: readonly number[]): Latencies {
  const latencies = new Latencies();
  for (const one of ms) latencies.add(BUCKET, one);
  return latencies;
}

describe("a bucket is late after", () => {
  test.each([
    // answers                                                            ms    why
    [[], 250, "nothing is known yet"],
    [Array(15).fill(1), 250, "too little is known yet"],
    [Array(128).fill(1), 50, "never less than the least"],
    [Array(128).fill(60_000), 2000, "never more than the most"],
    [[...Array(127).fill(100), 1500], 100, "99 of 100 took at most this, and one took longer"],
    [[...Array(128).fill(1500), ...Array(128).fill(100)], 100, "what was long ago does not count"],
  ])("%#: %d ms: %s", (answers: number[], ms) => {
    expect(having(answers).lateMs(BUCKET)).toBe(ms);
  });

  test("two late answers in a row: it is not waited for, until it answers in time", () => {
    const latencies = having(Array(128).fill(100));
    latencies.addLate(BUCKET);
    expect(latencies.lateMs(BUCKET)).toBe(100);
    latencies.addLate(BUCKET);
    expect(latencies.lateMs(BUCKET)).toBe(0);
    expect(latencies.lateMs(BUCKET + 1)).toBe(250);
    latencies.add(BUCKET, 5000);
    expect(latencies.lateMs(BUCKET)).toBe(0);
    latencies.add(BUCKET, 100);
    expect(latencies.lateMs(BUCKET)).toBe(100);
  });
});
