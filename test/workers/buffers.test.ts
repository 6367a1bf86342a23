import { expect, test } from "@jest/globals";
import { Buffers } from "../../src/workers/buffers.js";

const MIB = 1024 * 1024;

test("buffers are used again by those who ask for their size", () => {
  const buffers = new Buffers();
  const one = buffers.take(MIB);
  buffers.give(one);
  expect(buffers.take(MIB)).toBe(one);
  expect(buffers.take(MIB)).not.toBe(one);
});

test("what nobody asks for makes room for what somebody does", () => {
  const buffers = new Buffers();
  const odd = Array.from({ length: 40 }, (_, i) => buffers.take(MIB / 2 + i));
  for (const buffer of odd) buffers.give(buffer);
  const asked = buffers.take(MIB);
  buffers.give(asked);
  expect(buffers.take(MIB)).toBe(asked);
  expect([odd[0]?.detached, odd.at(-1)?.detached]).toEqual([true, false]); // the longest kept is freed
});

test("one that is larger than all that is kept does not make room for itself", () => {
  const buffers = new Buffers();
  const asked = buffers.take(MIB);
  buffers.give(asked);
  buffers.give(buffers.take(17 * MIB));
  expect(buffers.take(MIB)).toBe(asked);
});

test("nothing is kept of empty buffers, nor of those that went to a thread", () => {
  const buffers = new Buffers();
  const gone = buffers.take(MIB);
  gone.transfer();
  for (const buffer of [gone, new ArrayBuffer(0)]) buffers.give(buffer);
  expect(buffers.take(0)).not.toBe(buffers.take(0));
});
