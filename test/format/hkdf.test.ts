import { createHmac, hkdfSync, randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { hkdfExpand } from "../../src/format/hkdf.js";

describe("hkdfExpand", () => {
  test.each([
    [
      "A.1",
      "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
      "f0f1f2f3f4f5f6f7f8f9",
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ],
    [
      "A.3",
      "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
      "",
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ],
  ])("gives RFC 5869 appendix %s", (_, prk, info, okm) => {
    const output = hkdfExpand("sha256", Buffer.from(prk, "hex"), Buffer.from(info, "hex"), 42);
    expect(Buffer.from(output).toString("hex")).toBe(okm);
  });

  test("is what crypto.hkdf does after it has extracted", () => {
    const hashes = fc.constantFrom("sha256" as const, "sha384" as const);
    fc.assert(
      fc.property(hashes, fc.uint8Array(), fc.integer({ min: 1, max: 255 * 32 }), (hash, info, length) => {
        const [ikm, salt] = [randomBytes(32), randomBytes(32)];
        const prk = createHmac(hash, salt).update(ikm).digest();
        expect(hkdfExpand(hash, prk, info, length)).toEqual(
          new Uint8Array(hkdfSync(hash, ikm, salt, info, length)),
        );
      }),
    );
  });

  test.each([0, 255 * 32 + 1])("does not give %d bytes of SHA-256", length => {
    expect(() => hkdfExpand("sha256", new Uint8Array(32), new Uint8Array(), length)).toThrow(TypeError);
  });
});
