import { randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { FormatError } from "../../src/format/errors.js";
import { sealBox } from "../../src/format/gcm.js";
import { idBytes, newFileId } from "../../src/format/id.js";
import { metaKey, newDek } from "../../src/format/keys.js";
import { openMeta, sealMeta } from "../../src/format/meta.js";

const FILE = newFileId();
const DEK = newDek();
const SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const META = { name: "report.pdf", mediaType: "application/pdf", sha256: SHA256 };

describe("metadata", () => {
  test("come back, whatever Unicode they hold", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.string());
    const digest = fc.option(
      fc.uint8Array({ minLength: 32, maxLength: 32 }).map(b => Buffer.from(b).toString("hex")),
    );
    fc.assert(
      fc.property(text, text, digest, (name, mediaType, sha256) => {
        const sealed = sealMeta(DEK, FILE, { name, mediaType, sha256 });
        const expected = { name: name.toWellFormed(), mediaType: mediaType.toWellFormed(), sha256 };
        expect(openMeta(DEK, FILE, sealed)).toEqual(expected);
      }),
    );
  });

  test.each([
    ["ten thousand letters", "ö".repeat(10_000)],
    ["ten thousand control characters, the longest JSON", "\u0000".repeat(10_000)],
    ["ten thousand letters beyond the BMP", "🗄".repeat(10_000)],
    ["what would change an object's prototype", "__proto__"],
    ["a path, directions and quotes", '../../etc/passwd\u202E"\\\r\n'],
  ])("hold a name of %s", (_, name) => {
    expect(openMeta(DEK, FILE, sealMeta(DEK, FILE, { ...META, name })).name).toBe(name);
  });

  test("make lone surrogates well-formed, for UTF-8 has none", () => {
    const { name } = openMeta(DEK, FILE, sealMeta(DEK, FILE, { ...META, name: "a\ud800b" }));
    expect(name).toBe("a\ufffdb");
  });

  test("do not show the length of the name", () => {
    const sizes = Array.from(
      { length: 200 },
      (_, n) => sealMeta(DEK, FILE, { ...META, name: "x".repeat(n) }).length,
    );
    expect(sizes.every(size => (size - 29) % 64 === 0)).toBe(true);
    expect(new Set(sizes).size).toBeLessThanOrEqual(5);
  });

  test("are refused with any bit flipped, cut or extended", () => {
    const sealed = sealMeta(DEK, FILE, META);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = sealed.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(() => openMeta(DEK, FILE, flipped)).toThrow(FormatError);
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(() => openMeta(DEK, FILE, sealed.subarray(0, length))).toThrow(FormatError);
    }
    expect(() => openMeta(DEK, FILE, Buffer.concat([sealed, new Uint8Array(1)]))).toThrow(FormatError);
  });

  test("are refused under another DEK or for another file", () => {
    const sealed = sealMeta(DEK, FILE, META);
    expect(() => openMeta(newDek(), FILE, sealed)).toThrow(FormatError);
    expect(() => openMeta(DEK, newFileId(), sealed)).toThrow(FormatError);
  });

  test.each([
    ["not UTF-8", "\xff\xfe"],
    ["not JSON", "{"],
    ["null", "null"],
    ["an array", "[]"],
    ["without a name", '{"mediaType":"","sha256":null}'],
    ["with a number for a name", '{"name":1,"mediaType":"","sha256":null}'],
    ["without a digest or null", '{"name":"","mediaType":""}'],
    ["with a digest in capitals", `{"name":"","mediaType":"","sha256":"${SHA256.toUpperCase()}"}`],
  ])("that are authentic but %s are refused", (_, json) => {
    expect(() => openMeta(DEK, FILE, sealedText(json))).toThrow(FormatError);
  });

  test("may have members that this version does not know", () => {
    const opened = openMeta(
      DEK,
      FILE,
      sealedText('{"name":"n","later":[1],"mediaType":"m","sha256":null}  '),
    );
    expect(opened).toEqual({ name: "n", mediaType: "m", sha256: null });
  });

  test("that no reader would take are not written", () => {
    expect(() => sealMeta(DEK, FILE, { ...META, sha256: "abc" })).toThrow(FormatError);
    expect(() => sealMeta(DEK, FILE, { ...META, name: "x".repeat(256 * 1024) })).toThrow(FormatError);
  });
});

/** What a holder of the DEK could seal beside our own writer. */
function sealedText(text: string): Uint8Array {
  const plain = Buffer.from(text, "latin1");
  const sealed = new Uint8Array(1 + 28 + plain.length);
  sealed[0] = 1;
  const aad = Buffer.concat([Buffer.from("sv/1/meta"), idBytes(FILE)]);
  sealBox({ key: metaKey(DEK), aad }, randomBytes(12), plain, sealed.subarray(1));
  return sealed;
}
