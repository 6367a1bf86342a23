import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { FormatError } from "../../src/format/errors.js";
import type { FloeMessage } from "../../src/format/floe.js";
import {
  FLOE_HEADER_BYTES,
  openSegments,
  resumeMessage,
  sealSegments,
  startMessage,
} from "../../src/format/floe.js";
import { SEGMENT_OVERHEAD_BYTES } from "../../src/format/layout.js";

const KEY = new Uint8Array(32).fill(7);
const AAD = new TextEncoder().encode("of this file");
const SIZES = [33, 40, 64, 1024, 65_536]; // S
const EPOCH = 2 ** 20;

describe("sealing and opening", () => {
  test.each(SIZES)("are inverse around every border of segments of %d bytes", segmentBytes => {
    const per = segmentBytes - SEGMENT_OVERHEAD_BYTES;
    const sizes = new Set([
      0,
      1,
      per - 1,
      per,
      per + 1,
      2 * per - 1,
      2 * per,
      2 * per + 1,
      3 * per,
      5 * per + 1,
    ]);
    const { header, message } = startMessage(KEY, AAD, segmentBytes);
    for (const size of sizes) {
      const plain = patternOf(size);
      const sealed = sealSegments(message, 0, plain, true);
      expect(sealed.length).toBe(size + Math.max(1, Math.ceil(size / per)) * SEGMENT_OVERHEAD_BYTES);
      const opened = openSegments(resumeMessage(KEY, AAD, header), 0, sealed, true);
      expect(Buffer.compare(opened, plain)).toBe(0); // toEqual takes seconds over this many bytes
    }
  });

  test("are inverse wherever the message is cut into calls, at any position", () => {
    const arbitrary = fc.record({
      segmentBytes: fc.integer({ min: 33, max: 300 }),
      position: fc.oneof(
        fc.nat(50),
        fc.integer({ min: EPOCH - 4, max: EPOCH + 4 }),
        fc.maxSafeNat().map(n => n % 2 ** 39),
      ),
      counts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
      rest: fc.nat(300),
    });
    fc.assert(
      fc.property(arbitrary, ({ segmentBytes, position, counts, rest }) => {
        const per = segmentBytes - SEGMENT_OVERHEAD_BYTES;
        const { message } = startMessage(KEY, AAD, segmentBytes);
        const total = counts.reduce((sum, count) => sum + count, 0);
        const plain = patternOf(total * per + Math.min(rest, per));
        const sealed: Uint8Array[] = [];
        let done = 0;
        for (const count of counts) {
          sealed.push(
            sealSegments(message, position + done, plain.subarray(done * per, (done + count) * per), false),
          );
          done += count;
        }
        sealed.push(sealSegments(message, position + done, plain.subarray(done * per), true));
        expect(openSegments(message, position, Buffer.concat(sealed), true)).toEqual(plain);
      }),
    );
  });

  test("never repeat an IV: the same bytes sealed twice at one place differ", () => {
    const { message } = startMessage(KEY, AAD, 64);
    const seals = Array.from({ length: 200 }, () => sealSegments(message, 7, patternOf(64), false));
    const ivs = seals.flatMap(sealed => [hex(sealed.subarray(4, 16)), hex(sealed.subarray(68, 80))]);
    expect(new Set(ivs).size).toBe(400);
  });

  test("are repeatable when the IVs are given", () => {
    const { header, message } = startMessage(KEY, AAD, 64, new Uint8Array(32).fill(1));
    expect(startMessage(KEY, AAD, 64, new Uint8Array(32).fill(1)).header).toEqual(header);
    const ivs = patternOf(24);
    const sealed = sealSegments(message, 0, patternOf(40), true, { ivs });
    expect(sealSegments(message, 0, patternOf(40), true, { ivs })).toEqual(sealed);
    expect(Buffer.concat([sealed.subarray(4, 16), sealed.subarray(68, 80)])).toEqual(Buffer.from(ivs));
  });

  test("go on across the change of the AEAD key, and each key is its own", () => {
    const { message } = startMessage(KEY, AAD, 40);
    const plain = patternOf(3 * 8);
    const sealed = sealSegments(message, EPOCH - 1, plain, true);
    expect(openSegments(message, EPOCH - 1, sealed, true)).toEqual(plain);
    const early: FloeMessage = { ...message, params: { ...message.params, rotationBits: 21 } };
    expect(openSegments(early, EPOCH - 1, sealed.subarray(0, 40), false)).toEqual(plain.subarray(0, 8));
    expect(() => openSegments(early, EPOCH, sealed.subarray(40), true)).toThrow(FormatError);
  });

  test("survive a structured clone of the message, which shares no memory", () => {
    const bytes = new Uint8Array(FLOE_HEADER_BYTES + 400).fill(9);
    const { header, message } = startMessage(KEY, bytes.subarray(0, 20), 64);
    for (const part of [message.iv, message.aad, message.messageKey]) {
      expect(part.buffer.byteLength).toBe(part.length); // else a worker would get the rest of the pool as well
    }
    const sealed = sealSegments(structuredClone(message), 0, patternOf(40), true);
    const resumed = resumeMessage(KEY, bytes.subarray(20, 40), header);
    bytes.fill(0); // a caller may reuse its AAD
    expect(openSegments(resumed, 0, sealed, true)).toEqual(patternOf(40));
  });
});

describe("a header", () => {
  const { header } = startMessage(KEY, AAD, 64);

  test("is refused with any bit flipped, cut or extended", () => {
    for (let bit = 0; bit < header.length * 8; bit++) {
      expect(() => resumeMessage(KEY, AAD, flip(header, bit))).toThrow(FormatError);
    }
    for (let length = 0; length < header.length; length++) {
      expect(() => resumeMessage(KEY, AAD, header.subarray(0, length))).toThrow(FormatError);
    }
    expect(() => resumeMessage(KEY, AAD, Buffer.concat([header, new Uint8Array(1)]))).toThrow(FormatError);
  });

  test("is refused under another key or AAD", () => {
    expect(() => resumeMessage(flip(KEY, 0), AAD, header)).toThrow(FormatError);
    expect(() => resumeMessage(KEY, flip(AAD, 0), header)).toThrow(FormatError);
    expect(() => resumeMessage(KEY, new Uint8Array(0), header)).toThrow(FormatError);
  });
});

describe("segments are refused", () => {
  const { message } = startMessage(KEY, AAD, 40);
  const plain = patternOf(3 * 8 + 5);
  const sealed = sealSegments(message, 0, plain, true); // three full segments and one of 37 bytes
  const segments = [0, 1, 2, 3].map(i => sealed.subarray(i * 40, (i + 1) * 40));
  const open = (...indexes: number[]) =>
    openSegments(message, 0, Buffer.concat(indexes.map(i => segments[i] ?? new Uint8Array())), true);

  test("with any bit flipped", () => {
    expect(open(0, 1, 2, 3)).toEqual(plain);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      expect(() => openSegments(message, 0, flip(sealed, bit), true)).toThrow(FormatError);
    }
  });

  test("in any order but their own, repeated, or left out", () => {
    const fourOfFour = fc.array(fc.nat(3), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fourOfFour, indexes => {
        fc.pre(indexes.join() !== "0,1,2,3");
        expect(() => open(...indexes)).toThrow(FormatError);
      }),
      { numRuns: 500 },
    );
  });

  test("when cut at any byte, or extended", () => {
    for (let length = 0; length < sealed.length; length++) {
      expect(() => openSegments(message, 0, sealed.subarray(0, length), true)).toThrow(FormatError);
    }
    for (let extra = 1; extra <= 80; extra++) {
      expect(() => openSegments(message, 0, Buffer.concat([sealed, new Uint8Array(extra)]), true)).toThrow(
        FormatError,
      );
    }
  });

  test("but not for having none after them: how many there are is the caller's to know", () => {
    expect(openSegments(message, 0, sealed.subarray(0, 80), false)).toEqual(plain.subarray(0, 16));
  });

  test("at another position", () => {
    for (const position of [1, 2, EPOCH, EPOCH - 1]) {
      expect(() => openSegments(message, position, sealed, true)).toThrow(FormatError);
    }
  });

  test("as last where they are not, and as not last where they are", () => {
    expect(() => openSegments(message, 0, sealed.subarray(0, 40), true)).toThrow(FormatError);
    expect(() => openSegments(message, 0, sealed, false)).toThrow(FormatError);
    const full = sealSegments(message, 0, patternOf(8), true); // as long as a segment that is not last
    expect(() => openSegments(message, 0, full, false)).toThrow(FormatError);
    const word = Uint8Array.of(0xff, 0xff, 0xff, 0xff);
    expect(() => openSegments(message, 0, Buffer.concat([word, full.subarray(4)]), false)).toThrow(
      FormatError,
    );
  });

  test("of another message, even of the same key and AAD", () => {
    const other = startMessage(KEY, AAD, 40).message;
    const theirs = sealSegments(other, 0, plain, true);
    for (let i = 0; i < 4; i++) {
      const spliced = Uint8Array.from(sealed);
      spliced.set(theirs.subarray(i * 40, (i + 1) * 40), i * 40);
      expect(() => openSegments(message, 0, spliced, true)).toThrow(FormatError);
    }
  });
});

describe("a caller's mistakes are bugs, not bad bytes", () => {
  const { message } = startMessage(KEY, AAD, 64);

  test.each([
    ["a short segment that is not last", () => sealSegments(message, 0, patternOf(31), false)],
    ["no segment at all", () => sealSegments(message, 0, new Uint8Array(), false)],
    ["too few IVs", () => sealSegments(message, 0, patternOf(64), false, { ivs: new Uint8Array(12) })],
    [
      "memory of another size",
      () => sealSegments(message, 0, patternOf(32), false, { into: new ArrayBuffer(65) }),
    ],
    ["a negative position", () => sealSegments(message, -1, patternOf(32), false)],
    ["a fraction of a position", () => sealSegments(message, 0.5, patternOf(32), false)],
    ["a position past 2^40", () => sealSegments(message, 2 ** 40 - 1, patternOf(64), false)],
    ["a short key", () => startMessage(KEY.subarray(1), AAD, 64)],
    ["a short IV", () => startMessage(KEY, AAD, 64, new Uint8Array(12))],
    ["segments without room for a byte", () => startMessage(KEY, AAD, 32)],
    ["segments as long as the word for not last", () => startMessage(KEY, AAD, 0xffff_ffff)],
  ])("%s", (_, mistake) => {
    expect(mistake).toThrow(TypeError);
  });
});

function patternOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + Math.floor(i / 251)) % 256);
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  return bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
