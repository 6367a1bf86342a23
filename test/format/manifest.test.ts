import { randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { encodeCore, hashOf, sealOf } from "../../src/format/core.js";
import { FormatError } from "../../src/format/errors.js";
import { startMessage } from "../../src/format/floe.js";
import { newFileId } from "../../src/format/id.js";
import { bodyAad, bodyKey, commitment, mapKey, newDek } from "../../src/format/keys.js";
import { chunkCount, layoutFor, plainBytesPerChunk } from "../../src/format/layout.js";
import type { ManifestBody } from "../../src/format/manifest-body.js";
import {
  hasMark,
  MANIFEST_SLOTS,
  manifestPrefix,
  newManifestKey,
  openEscrow,
} from "../../src/format/manifest-key.js";
import { MapShape, openPart, sealPart } from "../../src/format/manifest-map.js";
import type { Manifest } from "../../src/format/manifest.js";
import { escrowOf, openBody, openHead, sealManifest } from "../../src/format/manifest.js";

const DEK = newDek();
const OPERATOR = randomBytes(32);
const LAYOUT = layoutFor(1024);

describe("a manifest", () => {
  test("comes back whole, whatever it says", () => {
    const time = fc.option(fc.integer({ min: 1, max: 2 ** 52 }));
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 0, max: 4 }),
        fc.record({
          expiresAt: time,
          retainUntil: time,
          maxDownloads: fc.option(fc.integer({ min: 1, max: 2 ** 31 - 1 })),
        }),
        fc.uint8Array({ maxLength: 300 }),
        fc.dictionary(fc.nat(65_535).map(String), fc.string({ unit: "grapheme" })),
        fc.boolean(),
        (chunks, dataChunks, parityChunks, terms, meta, names, isOperated) => {
          const profile = { dataChunks, parityChunks };
          const buckets = new Map(Object.entries(names).map(([number, name]) => [Number(number), name]));
          const manifest = manifestOf({ chunks, ...profile }, { ...terms, meta, buckets });
          const { object, objectKey, hash } = sealed(manifest, isOperated ? OPERATOR : null);
          const head = openHead(hash, objectKey, object);
          expect(head).toEqual(manifest.head);
          expect(openBody(mapKey(DEK), objectKey, object, head.core)).toEqual(manifest.body);
        },
      ),
    );
  });

  test("is refused with any bit flipped", () => {
    const manifest = manifestOf({ chunks: 3, dataChunks: 2, parityChunks: 1 });
    const { object, objectKey, hash } = sealed(manifest, OPERATOR);
    for (let bit = 0; bit < 8 * 900; bit++) {
      object[bit >> 3] = (object[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => openWhole(hash, objectKey, object)).toThrow(FormatError);
      object[bit >> 3] = (object[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    }
    expect(openWhole(hash, objectKey, object)).toEqual(manifest);
  });

  test("is refused at any other length", () => {
    const { object, objectKey, hash } = sealed(
      manifestOf({ chunks: 1, dataChunks: 1, parityChunks: 0 }),
      null,
    );
    for (let length = 0; length < object.length; length++) {
      expect(() => openWhole(hash, objectKey, object.subarray(0, length))).toThrow(FormatError);
    }
    expect(() => openWhole(hash, objectKey, Buffer.concat([object, new Uint8Array(1)]))).toThrow(FormatError);
  });

  test("is refused under another hash, map key or name, and with the body of another", () => {
    const one = sealed(manifestOf({ chunks: 1, dataChunks: 1, parityChunks: 0 }), OPERATOR);
    const two = sealed(manifestOf({ chunks: 1, dataChunks: 1, parityChunks: 0 }), OPERATOR);
    const { core } = openHead(one.hash, one.objectKey, one.object);
    expect(() => openHead(two.hash, one.objectKey, one.object)).toThrow(FormatError);
    expect(() => openHead(one.hash, two.objectKey, one.object)).toThrow(FormatError);
    expect(() => openBody(mapKey(newDek()), one.objectKey, one.object, core)).toThrow(FormatError);
    expect(() => openBody(mapKey(DEK), two.objectKey, one.object, core)).toThrow(FormatError);
    const spliced = Buffer.concat([one.object.subarray(0, 450), two.object.subarray(450)]);
    expect(() => openWhole(one.hash, one.objectKey, spliced)).toThrow(FormatError);
  });

  test("shows itself and its file to the operator who wrote it, and to no other", () => {
    const { object, objectKey, hash } = sealed(
      manifestOf({ chunks: 1, dataChunks: 1, parityChunks: 0 }),
      OPERATOR,
    );
    expect(hasMark(OPERATOR, objectKey, object.subarray(0, 16))).toBe(true);
    expect(openEscrow(OPERATOR, objectKey, escrowOf(object))).toEqual({ hash, mapKey: mapKey(DEK) });
    const other = randomBytes(32);
    expect(hasMark(other, objectKey, object)).toBe(false);
    expect(openEscrow(other, objectKey, escrowOf(object))).toBeNull();
    expect(hasMark(OPERATOR, newManifestKey(hash, 0), object)).toBe(false);
    expect(openEscrow(OPERATOR, newManifestKey(hash, 0), escrowOf(object))).toBeNull();
    expect(hasMark(OPERATOR, objectKey, new Uint8Array())).toBe(false);
  });

  test("of nobody's key has nothing in common with its copies", () => {
    const manifest = manifestOf({ chunks: 1, dataChunks: 1, parityChunks: 0 });
    const copies = Array.from({ length: 8 }, (_, slot) => sealed(manifest, null, slot));
    for (const length of [4, 8]) {
      expect(new Set(copies.map(({ objectKey }) => objectKey.slice(0, length))).size).toBe(copies.length);
      for (const at of [0, 16, 108, 450]) {
        const begins = copies.map(({ object }) =>
          Buffer.from(object.subarray(at, at + length)).toString("hex"),
        );
        expect(new Set(begins).size).toBe(copies.length);
      }
    }
    expect(new Set(copies.map(({ object }) => object.length)).size).toBeGreaterThan(1);
  });

  test.each<[string, Partial<ManifestBody>]>([
    ["a row too few", { map: { rows: [] } }],
    ["parts where there are none", { map: { parts: [[{ bucketId: 1, objectKey: "0".repeat(32) }]] } }],
    ["no data chunk in a stripe", { profile: { dataChunks: 0, parityChunks: 0 } }],
    [
      "more chunks in a stripe than a field of 256 elements has",
      { profile: { dataChunks: 255, parityChunks: 2 } },
    ],
    ["more metadata than any file has", { meta: new Uint8Array(256 * 1024 + 1) }],
  ])("is not written with %s", (_, change) => {
    const manifest = manifestOf({ chunks: 2, dataChunks: 1, parityChunks: 0 });
    expect(() => sealed({ ...manifest, body: { ...manifest.body, ...change } }, null)).toThrow(FormatError);
  });
});

describe("a map", () => {
  test("has a place for every chunk in order, and parts that cover it exactly", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40_000 }),
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 0, max: 6 }),
        fc.nat(LAYOUT.chunkBytes - 33),
        (chunks, dataChunks, parityChunks, shorter) => {
          const shape = new MapShape(coreOf(chunks, shorter).fields, { dataChunks, parityChunks });
          const stripes = Math.ceil(chunks / dataChunks);
          expect(shape.rowCount).toBe(chunks + stripes * parityChunks);
          const places = [...shape.places(0, stripes)];
          expect(places).toHaveLength(shape.rowCount);
          const data = places.filter(({ shard }) => shard < dataChunks);
          expect(data).toHaveLength(chunks); // not toEqual, which takes seconds for so many
          expect(data.every(({ stripe, shard }, i) => stripe * dataChunks + shard === i)).toBe(true);
          let next = 0;
          for (let part = 0; part < shape.partCount; part++) {
            const { from, to } = shape.stripesOfPart(part);
            expect(from).toBe(next);
            expect(shape.rowsIn(from, to)).toBeLessThanOrEqual(16_384);
            expect([...shape.places(from, to)]).toHaveLength(shape.rowsIn(from, to));
            next = to;
          }
          expect(next).toBe(shape.partCount === 0 ? 0 : stripes);
          expect(shape.partCount > 0).toBe(shape.rowCount > 16_384);
        },
      ),
      { numRuns: 10 },
    );
  });

  test("gives a parity chunk the length of the longest of its stripe", () => {
    const shape = new MapShape(coreOf(5, 100).fields, { dataChunks: 2, parityChunks: 1 });
    const lengths = [...shape.places(0, 3)].map(({ stripe, shard, storedBytes }) => [
      stripe,
      shard,
      storedBytes,
    ]);
    expect(lengths).toEqual([
      [0, 0, 1024],
      [0, 1, 1024],
      [0, 2, 1024],
      [1, 0, 1024],
      [1, 1, 1024],
      [1, 2, 1024],
      [2, 0, 924],
      [2, 2, 924],
    ]);
  });

  test("part comes back, and is refused changed, cut, as another part, or under another name or key", () => {
    const args = { mapKey: mapKey(DEK), objectKey: randomBytes(16).toString("hex"), part: 3 };
    const rows = rowsOf(5);
    const object = sealPart(args, rows, { iv: randomBytes(12), paddingBytes: 9 });
    expect(openPart(args, object, 5)).toEqual(rows);
    for (let bit = 0; bit < object.length * 8; bit++) {
      const flipped = object.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(() => openPart(args, flipped, 5)).toThrow(FormatError);
    }
    for (let length = 0; length < object.length; length++) {
      expect(() => openPart(args, object.subarray(0, length), 5)).toThrow(FormatError);
    }
    expect(() => openPart(args, object, 6)).toThrow(FormatError);
    expect(() => openPart({ ...args, part: 2 }, object, 5)).toThrow(FormatError);
    expect(() => openPart({ ...args, mapKey: mapKey(newDek()) }, object, 5)).toThrow(FormatError);
    expect(() => openPart({ ...args, objectKey: "0".repeat(32) }, object, 5)).toThrow(FormatError);
  });
});

describe("a name", () => {
  test("begins with what follows from hash and slot alone, and ends at random", () => {
    const hash = "ab".repeat(32);
    const keys = Array.from({ length: MANIFEST_SLOTS }, (_, slot) => newManifestKey(hash, slot));
    expect(keys.map(key => key.slice(0, 16))).toEqual(keys.map((_, slot) => manifestPrefix(hash, slot)));
    expect(new Set(keys.map(key => key.slice(0, 16))).size).toBe(MANIFEST_SLOTS);
    expect(newManifestKey(hash, 0)).not.toBe(newManifestKey(hash, 0));
    expect(() => manifestPrefix(hash, MANIFEST_SLOTS)).toThrow(TypeError);
  });
});

/** A core of `chunks` chunks whose last is `shorter` bytes short of full. */
function coreOf(chunks: number, shorter = 0) {
  const fileId = newFileId();
  const { header } = startMessage(bodyKey(DEK), bodyAad(fileId), LAYOUT.segmentBytes);
  const plainBytes = chunks * plainBytesPerChunk(LAYOUT) - shorter;
  const fields = {
    flags: 0,
    ...LAYOUT,
    plainBytes,
    chunkCount: chunkCount(LAYOUT, plainBytes),
    fileId,
    floeHeader: header,
    commit: commitment(DEK),
    root: new Uint8Array(randomBytes(32)),
  };
  return { fields, bytes: encodeCore(fields) };
}

function rowsOf(count: number) {
  return Array.from({ length: count }, () => ({
    bucketId: randomBytes(2).readUInt16BE(),
    objectKey: randomBytes(16).toString("hex"),
    digest: new Uint8Array(randomBytes(32)),
  }));
}

function manifestOf(
  { chunks, dataChunks, parityChunks }: { chunks: number; dataChunks: number; parityChunks: number },
  change: Partial<ManifestBody> = {},
): Manifest {
  const { bytes: core, fields } = coreOf(chunks);
  const profile = { dataChunks, parityChunks };
  return {
    head: { revision: 7, core, wrap: new Uint8Array(randomBytes(118)) },
    body: {
      seal: sealOf(DEK, core),
      profile,
      createdAt: 1_764_072_000_000,
      expiresAt: null,
      retainUntil: null,
      maxDownloads: null,
      downloadCount: 0,
      meta: new Uint8Array(randomBytes(93)),
      buckets: new Map([[1, "memory://1"]]),
      map: { rows: rowsOf(new MapShape(fields, profile).rowCount) },
      ...change,
    },
  };
}

function sealed(manifest: Manifest, operatorKey: Uint8Array | null, slot = 3) {
  const hash = hashOf(manifest.head.core);
  const objectKey = newManifestKey(hash, slot);
  return { hash, objectKey, object: sealManifest({ objectKey, mapKey: mapKey(DEK), operatorKey }, manifest) };
}

function openWhole(hash: string, objectKey: string, object: Uint8Array): Manifest {
  const head = openHead(hash, objectKey, object);
  return { head, body: openBody(mapKey(DEK), objectKey, object, head.core) };
}
