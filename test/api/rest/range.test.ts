import { describe, expect, test } from "@jest/globals";
import { VaultError } from "../../../src/core/errors.js";
import { isUnchanged, requestedRange } from "../../../src/api/rest/range.js";

const ETAG = '"abc"';

describe("requestedRange of 100 bytes", () => {
  test.each<[string | undefined, number, number, boolean, string]>([
    // range              start  end  partial  why
    [undefined, 0, 100, false, "no range"],
    ["bytes=0-", 0, 100, true, "from the beginning"],
    ["bytes=0-0", 0, 1, true, "the first byte"],
    ["bytes=10-19", 10, 20, true, "in the middle"],
    ["bytes=99-", 99, 100, true, "the last byte"],
    ["bytes=10-1000", 10, 100, true, "an end beyond the end"],
    ["bytes=-5", 95, 100, true, "the last five"],
    ["bytes=-500", 0, 100, true, "a suffix longer than the file is the file"],
    ["BYTES=1-2", 1, 3, true, "units are case-insensitive"],
    ["bytes=5-4", 0, 100, false, "an end before its start is no range"],
    ["bytes=0-0,2-3", 0, 100, false, "several ranges get the whole"],
    ["bytes=x-y", 0, 100, false, "not digits"],
    ["bytes=", 0, 100, false, "nothing"],
    ["lines=1-2", 0, 100, false, "another unit"],
    [`bytes=${Array(1000).fill("0-0").join(",")}`, 0, 100, false, "a thousand ranges"],
  ])("%s is %d … %d, partial %p: %s", (range, start, end, isPartial, _why) => {
    expect(requestedRange({ range }, ETAG, 100)).toEqual({ start, end, isPartial });
  });

  test.each(["bytes=100-", "bytes=100-200", "bytes=-0"])("%s lies outside", range => {
    expect(() => requestedRange({ range }, ETAG, 100)).toThrow(VaultError);
  });

  test("an empty file has no byte to give", () => {
    expect(() => requestedRange({ range: "bytes=0-" }, ETAG, 0)).toThrow(VaultError);
    expect(requestedRange({}, ETAG, 0)).toEqual({ start: 0, end: 0, isPartial: false });
  });

  test.each([
    [ETAG, true, "the same version"],
    ['"other"', false, "another version"],
    [`W/${ETAG}`, false, "a weak tag"],
    ["Wed, 21 Oct 2015 07:28:00 GMT", false, "a date"],
  ])("If-Range %s: partial %p, for it is %s", (ifRange, isPartial, _why) => {
    const headers = { range: "bytes=1-2", "if-range": ifRange };
    expect(requestedRange(headers, ETAG, 100).isPartial).toBe(isPartial);
  });
});

describe("isUnchanged", () => {
  test.each([
    [undefined, false],
    [ETAG, true],
    [`W/${ETAG}`, true],
    [`"x", ${ETAG}`, true],
    ["*", true],
    ['"x"', false],
  ])("If-None-Match %s: %p", (tag, expected) => {
    expect(isUnchanged(tag === undefined ? {} : { "if-none-match": tag }, ETAG)).toBe(expected);
  });
});
