import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { FormatError } from "../../src/format/errors.js";
import { idBytes, idFromBytes, newFileId } from "../../src/format/id.js";

describe("a file id", () => {
  test("is 16 bytes and one text, both ways", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), bytes => {
        expect(idBytes(idFromBytes(bytes))).toEqual(bytes);
      }),
    );
    expect(idFromBytes(Uint8Array.from({ length: 16 }, (_, i) => i))).toBe(
      "00010203-0405-0607-0809-0a0b0c0d0e0f",
    );
  });

  test("is random in all its bits", () => {
    const ids = Array.from({ length: 200 }, () => idBytes(newFileId()));
    const ones = ids.reduce(
      (sum, id) => sum.map((bits, i) => bits | (id[i] ?? 0)),
      new Array<number>(16).fill(0),
    );
    const zeros = ids.reduce(
      (sum, id) => sum.map((bits, i) => bits & (id[i] ?? 0)),
      new Array<number>(16).fill(255),
    );
    expect([ones, zeros]).toEqual([new Array(16).fill(255), new Array(16).fill(0)]);
  });

  test.each([
    "",
    "00010203-0405-0607-0809-0A0B0C0D0E0F",
    "000102030405060708090a0b0c0d0e0f",
    "{00010203-0405-0607-0809-0a0b0c0d0e0f}",
    "00010203-0405-0607-0809-0a0b0c0d0e0f\n",
    "00010203-0405-0607-0809-0a0b0c0d0e0g",
  ])("is not written %j", text => {
    expect(() => idBytes(text)).toThrow(FormatError);
  });
});
