import { randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { FormatError } from "../../src/format/errors.js";
import { openSegments, resumeMessage, sealSegments, startMessage } from "../../src/format/floe.js";
import type { FileId } from "../../src/format/id.js";
import { newFileId } from "../../src/format/id.js";
import { bodyAad, bodyKey, newDek, tailAad, tailKey } from "../../src/format/keys.js";
import type { Layout } from "../../src/format/layout.js";
import {
  chunkCount,
  layoutFor,
  plainBytesPerChunk,
  segmentReads,
  segmentsPerChunk,
  storedBytesOfChunk,
} from "../../src/format/layout.js";

/** A whole file as the core keeps it: the pieces of the room together. */
interface SealedFile {
  readonly dek: Uint8Array;
  readonly fileId: FileId;
  readonly layout: Layout;
  readonly plainBytes: number;
  readonly header: Uint8Array;
  readonly objects: readonly Uint8Array[];
}

/** Small stand-ins for real layouts: one segment a chunk, and three. */
const LAYOUTS: Layout[] = [
  { chunkBytes: 48, segmentBytes: 48 },
  { chunkBytes: 144, segmentBytes: 48 },
];

describe("a file cut into chunks", () => {
  test.each([...LAYOUTS, layoutFor(1024)])("opens to what was sealed, at every border of %j", layout => {
    const perChunk = plainBytesPerChunk(layout);
    const perSegment = perChunk / segmentsPerChunk(layout);
    const borders = [0, perSegment, perChunk, 2 * perChunk, 3 * perChunk];
    const sizes = new Set(
      borders.flatMap(border => [border - 1, border, border + 1]).filter(size => size >= 0),
    );
    for (const size of sizes) {
      const plain = new Uint8Array(randomBytes(size));
      const file = seal(plain, layout);
      expect(file.objects.map(object => object.length)).toEqual(
        file.objects.map((_, i) => storedBytesOfChunk(layout, size, i)),
      );
      expect(open(file)).toEqual(plain);
    }
  });

  test("opens to any range of itself", () => {
    const sizes = fc.nat(200);
    fc.assert(
      fc.property(
        fc.constantFrom(...LAYOUTS),
        sizes,
        fc.nat(),
        fc.nat(),
        fc.nat(200),
        (layout, size, a, b, most) => {
          const plain = new Uint8Array(randomBytes(size));
          const [start = 0, end = 0] = [a % (size + 1), b % (size + 1)].sort((x, y) => x - y);
          expect(open(seal(plain, layout), start, end, most)).toEqual(plain.subarray(start, end));
        },
      ),
    );
  });

  test("in its default layout opens too", () => {
    const plain = new Uint8Array(randomBytes(1_048_448 + 5));
    expect(Buffer.compare(open(seal(plain, layoutFor(1024 * 1024))), plain)).toBe(0);
  });
});

describe.each(LAYOUTS)("a file of layout %j is refused", layout => {
  const plain = new Uint8Array(randomBytes(3 * plainBytesPerChunk(layout) + 5));
  const file = seal(plain, layout);
  const [zero = noObject(), one = noObject(), two = noObject(), last = noObject()] = file.objects;
  const withObjects = (...objects: Uint8Array[]) => open({ ...file, objects });

  test("never as it is", () => {
    expect(withObjects(zero, one, two, last)).toEqual(plain);
  });

  test("with any bit flipped, in header or body", () => {
    for (let bit = 0; bit < file.header.length * 8; bit++) {
      expect(() => open({ ...file, header: flip(file.header, bit) })).toThrow(FormatError);
    }
    for (const [index, object] of file.objects.entries()) {
      for (let bit = 0; bit < object.length * 8; bit++) {
        const objects = file.objects.with(index, flip(object, bit));
        expect(() => open({ ...file, objects })).toThrow(FormatError);
      }
    }
  });

  test("with chunks swapped, moved, repeated or left out", () => {
    expect(() => withObjects(one, zero, two, last)).toThrow(FormatError);
    expect(() => withObjects(zero, two, one, last)).toThrow(FormatError);
    expect(() => withObjects(zero, zero, two, last)).toThrow(FormatError);
    expect(() => withObjects(zero, one, one, last)).toThrow(FormatError);
    expect(() => withObjects(one, two, last, zero)).toThrow(FormatError);
    expect(() => withObjects(zero, one, two, two)).toThrow(FormatError);
  });

  test("with a chunk cut anywhere, at the border of a segment too", () => {
    for (const [index, object] of file.objects.entries()) {
      for (let length = 0; length < object.length; length++) {
        const objects = file.objects.with(index, object.subarray(0, length));
        expect(() => open({ ...file, objects })).toThrow(FormatError);
      }
    }
  });

  test("as a shorter or longer file than it is", () => {
    for (const plainBytes of [plain.length - 1, plain.length + 1, plainBytesPerChunk(layout), 0]) {
      expect(() => open({ ...file, plainBytes })).toThrow(FormatError);
    }
  });

  test("with a chunk of another file, of the same DEK or place", () => {
    const sameKey = seal(plain, layout, { dek: file.dek });
    const sameId = seal(plain, layout, { fileId: file.fileId });
    const sameBoth = seal(plain, layout, { dek: file.dek, fileId: file.fileId }); // a recut, a second try
    for (const other of [sameKey, sameId, sameBoth]) {
      for (const index of file.objects.keys()) {
        const objects = file.objects.with(index, other.objects[index] ?? noObject());
        expect(() => open({ ...file, objects })).toThrow(FormatError);
      }
    }
    expect(() => open({ ...file, header: sameKey.header })).toThrow(FormatError);
    expect(() => open({ ...file, header: sameBoth.header })).toThrow(FormatError);
    expect(() => open({ ...file, fileId: newFileId() })).toThrow(FormatError);
  });

  test("never for a chunk sealed again: a resumed upload may, with other bytes, and the newer counts", () => {
    const message = resumeMessage(bodyKey(file.dek), bodyAad(file.fileId), file.header);
    const again = new Uint8Array(randomBytes(plainBytesPerChunk(layout)));
    const resealed = sealSegments(message, segmentsPerChunk(layout), again, false);
    const opened = withObjects(zero, resealed, two, last);
    expect(opened.subarray(again.length, 2 * again.length)).toEqual(again);
  });
});

describe("a tail", () => {
  const [dek, fileId] = [newDek(), newFileId()];
  const plain = new Uint8Array(randomBytes(100));
  const { header, message } = startMessage(tailKey(dek), tailAad(fileId, 960), 48);
  const sealed = sealSegments(message, 0, plain, true);

  test("opens at its place", () => {
    const resumed = resumeMessage(tailKey(dek), tailAad(fileId, 960), header);
    expect(openSegments(resumed, 0, sealed, true)).toEqual(plain);
  });

  test("is refused at another offset, in another file, and as part of the body", () => {
    expect(() => resumeMessage(tailKey(dek), tailAad(fileId, 961), header)).toThrow(FormatError);
    expect(() => resumeMessage(tailKey(dek), tailAad(newFileId(), 960), header)).toThrow(FormatError);
    expect(() => resumeMessage(bodyKey(dek), bodyAad(fileId), header)).toThrow(FormatError);
    const body = startMessage(bodyKey(dek), bodyAad(fileId), 48).message;
    expect(() => openSegments(body, 0, sealed, true)).toThrow(FormatError);
  });
});

function seal(plain: Uint8Array, layout: Layout, { dek = newDek(), fileId = newFileId() } = {}): SealedFile {
  const { header, message } = startMessage(bodyKey(dek), bodyAad(fileId), layout.segmentBytes);
  const count = chunkCount(layout, plain.length);
  const per = plainBytesPerChunk(layout);
  const objects = Array.from({ length: count }, (_, i) => {
    const position = i * segmentsPerChunk(layout);
    return sealSegments(message, position, plain.subarray(i * per, (i + 1) * per), i === count - 1);
  });
  return { dek, fileId, layout, plainBytes: plain.length, header, objects };
}

function open(file: SealedFile, start = 0, end = file.plainBytes, maxReadBytes = 1 << 20): Uint8Array {
  const message = resumeMessage(bodyKey(file.dek), bodyAad(file.fileId), file.header);
  const parts: Uint8Array[] = [];
  for (const read of segmentReads(file.layout, file.plainBytes, start, end, maxReadBytes)) {
    const object = file.objects[read.chunkIndex] ?? noObject();
    const stored = object.subarray(read.firstByte, read.lastByte + 1);
    // What a reader owes (docs/format.md §9): an object that gives less than was asked for is not this file's.
    if (stored.length !== read.lastByte + 1 - read.firstByte) throw new FormatError("an object is too short");
    const plain = openSegments(message, read.position, stored, read.isLast);
    parts.push(plain.subarray(read.skipBytes, read.skipBytes + read.takeBytes));
  }
  return new Uint8Array(Buffer.concat(parts));
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  return bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}

function noObject(): Uint8Array {
  return new Uint8Array();
}
