import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { FormatError } from "../../src/format/errors.js";
import type { Layout } from "../../src/format/layout.js";
import {
  chunkCount,
  DEFAULT_CHUNK_BYTES,
  layoutFor,
  MAX_CHUNK_BYTES,
  MIN_CHUNK_BYTES,
  plainBytesOf,
  plainBytesPerChunk,
  plainBytesPerSegment,
  segmentCount,
  segmentReads,
  segmentsPerChunk,
  storedBytes,
  storedBytesOfChunk,
} from "../../src/format/layout.js";

const KiB = 1024;
const requested = fc.oneof(
  fc.integer({ min: MIN_CHUNK_BYTES, max: MAX_CHUNK_BYTES }),
  fc.integer({ min: MIN_CHUNK_BYTES, max: 300 * KiB }),
  fc.integer({ min: 1, max: 1024 }).map(n => n * 64 * KiB),
);
const layouts = requested.map(layoutFor);

describe("layoutFor", () => {
  test.each([
    // asked         C               S           why
    [1024, 1024, 1024, "the least"],
    [256 * KiB, 256 * KiB, 256 * KiB, "the largest single segment"],
    [256 * KiB + 1, 256 * KiB, 256 * KiB, "no divisor fits, so it is rounded down"],
    [256 * KiB + 2, 256 * KiB + 2, 128 * KiB + 1, "half of it fits"],
    [320 * KiB, 320 * KiB, 160 * KiB, "two halves"],
    [1024 * KiB, 1024 * KiB, 256 * KiB, "the default, four quarters"],
    [1024 * KiB + 3, 1024 * KiB + 3, 149_797, "seven sevenths"],
    [1_000_003, 960 * KiB, 240 * KiB, "a prime is rounded down to 15 × 64 KiB"],
    [MAX_CHUNK_BYTES, MAX_CHUNK_BYTES, 256 * KiB, "the most"],
  ])("%d gives chunks of %d in segments of %d: %s", (asked, chunkBytes, segmentBytes) => {
    expect(layoutFor(asked)).toEqual({ chunkBytes, segmentBytes });
  });

  test("gives whole segments of 64 to 256 KiB, or one; and a layout that gives itself again", () => {
    fc.assert(
      fc.property(requested, asked => {
        const l = layoutFor(asked);
        expect(l.chunkBytes).toBeLessThanOrEqual(asked);
        expect(asked - l.chunkBytes).toBeLessThan(64 * KiB);
        expect(Number.isInteger(segmentsPerChunk(l))).toBe(true);
        expect(l.segmentBytes).toBeLessThanOrEqual(256 * KiB);
        if (segmentsPerChunk(l) > 1) expect(l.segmentBytes).toBeGreaterThanOrEqual(64 * KiB);
        expect(layoutFor(l.chunkBytes)).toEqual(l);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([0, 1023, MAX_CHUNK_BYTES + 1, -1024, 1024.5, Number.NaN, Number.POSITIVE_INFINITY])(
    "refuses %d",
    asked => {
      expect(() => layoutFor(asked)).toThrow(FormatError);
    },
  );

  test("the default needs no rounding", () => {
    expect(layoutFor(DEFAULT_CHUNK_BYTES).chunkBytes).toBe(DEFAULT_CHUNK_BYTES);
  });
});

describe("sizes", () => {
  const l = layoutFor(1024);
  test.each([
    // plain    chunks stored     why
    [0, 1, 32, "an empty file still has an authenticated end"],
    [1, 1, 33, "one byte"],
    [992, 1, 1024, "an exact multiple has no empty last chunk"],
    [993, 2, 1024 + 33, "one byte over"],
    [2 * 992, 2, 2048, "two exact chunks"],
  ])("%d bytes are %d chunks of %d bytes in all: %s", (plain, chunks, stored) => {
    expect([chunkCount(l, plain), storedBytes(l, plain)]).toEqual([chunks, stored]);
  });

  test("are exact both ways, and are the sum of the chunks", () => {
    fc.assert(
      fc.property(layouts, fc.nat(2 ** 31 - 1), fc.integer({ min: -2, max: 2 }), (l, anywhere, step) => {
        // Anywhere, and around the nearest border of a chunk, where mistakes live.
        const border = Math.round(anywhere / plainBytesPerChunk(l)) * plainBytesPerChunk(l);
        for (const plain of [anywhere, Math.max(0, border + step)]) {
          const stored = storedBytes(l, plain);
          expect(plainBytesOf(l, stored)).toBe(plain);
          const count = chunkCount(l, plain);
          if (count <= 64) {
            const chunks = Array.from({ length: count }, (_, i) => storedBytesOfChunk(l, plain, i));
            expect(chunks.reduce((sum, bytes) => sum + bytes, 0)).toBe(stored);
          }
          const last = storedBytesOfChunk(l, plain, count - 1);
          expect(last > (plain === 0 ? 31 : 32) && last <= l.chunkBytes).toBe(true);
        }
      }),
    );
  });

  test("are refused where no file has them: every stored size is either exact or refused", () => {
    const sizes = new Set(Array.from({ length: 4000 }, (_, plain) => storedBytes(l, plain)));
    for (let stored = 0; stored < 4096; stored++) {
      if (sizes.has(stored)) expect(storedBytes(l, plainBytesOf(l, stored))).toBe(stored);
      else expect(() => plainBytesOf(l, stored)).toThrow(FormatError);
    }
    for (const size of [-1, 0.5, Number.NaN, 2 ** 53])
      expect(() => plainBytesOf(l, size)).toThrow(FormatError);
  });

  test("are exact up to the largest file: 2^40 segments, or 2^53 stored bytes", () => {
    const most = 992 * 2 ** 40;
    expect(segmentCount(l, most)).toBe(2 ** 40);
    expect(plainBytesOf(l, storedBytes(l, most))).toBe(most);
    expect(() => segmentCount(l, most + 1)).toThrow(FormatError);

    const wide = layoutFor(256 * KiB);
    const widest = plainBytesOf(wide, 2 ** 53 - 1);
    expect(storedBytes(wide, widest)).toBe(2 ** 53 - 1);
    expect(() => storedBytes(wide, widest + 1)).toThrow(FormatError);
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: BigInt(widest) }), layouts, (plain, l) => {
        const per = BigInt(plainBytesPerSegment(l));
        const count = plain === 0n ? 1n : (plain + per - 1n) / per;
        if (count <= 2n ** 40n && plain + 32n * count < 2n ** 53n)
          expect(segmentCount(l, Number(plain))).toBe(Number(count));
        else expect(() => segmentCount(l, Number(plain))).toThrow(FormatError);
      }),
    );
  });

  test("of chunks that do not exist are refused", () => {
    for (const index of [-1, 2, 0.5]) expect(() => storedBytesOfChunk(l, 1000, index)).toThrow(FormatError);
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53])("%d is not the size of a file", plain => {
    expect(() => chunkCount(l, plain)).toThrow(FormatError);
  });
});

describe("segmentReads", () => {
  const small: fc.Arbitrary<Layout> = fc
    .record({ segmentBytes: fc.integer({ min: 40, max: 120 }), n: fc.integer({ min: 1, max: 5 }) })
    .map(({ segmentBytes, n }) => ({ segmentBytes, chunkBytes: n * segmentBytes }));
  const ranges = fc
    .record({ l: small, plain: fc.nat(600), a: fc.nat(), b: fc.nat(), maxReadBytes: fc.nat(400) })
    .map(({ l, plain, a, b, maxReadBytes }) => {
      const [start = 0, end = 0] = [a % (plain + 1), b % (plain + 1)].sort((x, y) => x - y);
      return { l, plain, start, end, maxReadBytes };
    });

  test("cover exactly the range, in order, within chunks and within the limit", () => {
    fc.assert(
      fc.property(ranges, ({ l, plain, start, end, maxReadBytes }) => {
        const per = plainBytesPerSegment(l);
        let at = start;
        let nextPosition = Math.floor(start / per);
        for (const read of segmentReads(l, plain, start, end, maxReadBytes)) {
          expect(read.position).toBe(nextPosition);
          expect(read.position * per + read.skipBytes).toBe(at);
          expect(read.firstByte).toBe((read.position % segmentsPerChunk(l)) * l.segmentBytes);
          expect(read.chunkIndex).toBe(Math.floor(read.position / segmentsPerChunk(l)));

          const bytes = read.lastByte - read.firstByte + 1;
          const count = Math.ceil(bytes / l.segmentBytes);
          nextPosition = read.position + count;
          expect(read.isLast).toBe(nextPosition === segmentCount(l, plain));
          if (!read.isLast) expect(bytes % l.segmentBytes).toBe(0);
          expect(bytes <= maxReadBytes || count === 1).toBe(true);
          expect(read.lastByte).toBeLessThan(storedBytesOfChunk(l, plain, read.chunkIndex));
          expect(read.skipBytes + read.takeBytes).toBeLessThanOrEqual(bytes - count * 32);
          expect(read.skipBytes).toBeLessThan(per); // no segment in front of the range
          at += read.takeBytes;
          expect(at).toBeGreaterThan((nextPosition - 1) * per - (plain === 0 ? 1 : 0)); // nor behind it
        }
        expect(at).toBe(end);
      }),
      { numRuns: 1000 },
    );
  });

  test("an empty file is read once, for its authenticated end", () => {
    const reads = [...segmentReads(layoutFor(1024), 0, 0, 0, 1 << 20)];
    const only = {
      chunkIndex: 0,
      firstByte: 0,
      lastByte: 31,
      position: 0,
      isLast: true,
      skipBytes: 0,
      takeBytes: 0,
    };
    expect(reads).toEqual([only]);
  });

  test("an empty range of a file that is not empty needs no read", () => {
    expect([...segmentReads(layoutFor(1024), 5, 3, 3, 1 << 20)]).toEqual([]);
  });

  test.each([
    [-1, 1],
    [2, 1],
    [0, 6],
    [0.5, 1],
  ])("the range %d…%d of five bytes is a bug", (start, end) => {
    expect(() => [...segmentReads(layoutFor(1024), 5, start, end, 1024)]).toThrow(TypeError);
  });
});
