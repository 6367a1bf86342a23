import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { newToken, parseToken, tokenId, tokenKey } from "../../src/format/token.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

describe("a token", () => {
  test("is 32 random bytes in 43 characters", () => {
    const texts = Array.from({ length: 100 }, newToken);
    for (const text of texts) {
      expect(text).toMatch(/^[\w-]{43}$/);
      expect(parseToken(text)).toHaveLength(32);
    }
    expect(new Set(texts).size).toBe(100);
  });

  test("has one spelling: of the 64 possible last characters, the 16 without stray bits", () => {
    const text = newToken();
    const accepted = [...ALPHABET].filter(last => parseToken(text.slice(0, 42) + last) !== null);
    expect(accepted.join("")).toBe("AEIMQUYcgkosw048");
  });

  test.each([
    "",
    "=",
    "a".repeat(42),
    "A".repeat(44),
    `${"A".repeat(43)}=`,
    `${"A".repeat(42)}+`,
    `${"A".repeat(42)}/`,
    ` ${"A".repeat(42)}`,
    `${"A".repeat(43)}\n`,
  ])("is not %j", text => {
    expect(parseToken(text)).toBeNull();
  });

  test("is null for any text but its own", () => {
    fc.assert(
      fc.property(fc.string(), text => {
        const bytes = parseToken(text);
        expect(bytes === null || Buffer.from(bytes).toString("base64url") === text).toBe(true);
      }),
    );
  });

  test("gives an id of 16 and a key of 32 bytes, apart for each kind", () => {
    const token = new Uint8Array(32).fill(3);
    const derived = [
      tokenId(token, "link"),
      tokenId(token, "upload"),
      tokenKey(token, "link"),
      tokenKey(token, "upload"),
    ];
    expect(derived.map(bytes => bytes.length)).toEqual([16, 16, 32, 32]);
    expect(new Set(derived.map(bytes => Buffer.from(bytes.subarray(0, 16)).toString("hex"))).size).toBe(4);
    expect(() => tokenId(token.subarray(1), "link")).toThrow(TypeError);
  });
});
