import { describe, expect, test } from "@jest/globals";
import { parseValue } from "graphql";
import { ByteSize, Duration, Sha256 } from "../../../src/api/graphql/scalars.js";

describe("Duration", () => {
  test.each([
    ["PT15M", 900],
    ["P7D", 604_800],
    ["P1W", 604_800],
    ["P1DT2H3M4S", 93_784],
    ["PT0S", 0],
  ])("%s is %d seconds", (text, seconds) => expect(Duration.parseValue(text)).toBe(seconds));

  test.each(["", "P", "PT", "P1DT", "P1M", "P1Y", "-PT1S", "PT1.5S", "15m", 900, null])(
    "%j is none",
    value => {
      expect(() => Duration.parseValue(value)).toThrow("Not a Duration.");
    },
  );

  test.each([
    [900, "PT15M"],
    [604_800, "P7D"],
    [90, "PT90S"],
    [7200, "PT2H"],
    [0, "PT0S"],
  ])("%d is written %s", (seconds, text) => expect(Duration.serialize(seconds)).toBe(text));
});

describe("ByteSize", () => {
  test.each([0, 1, 2 ** 53 - 1])("takes %d", value => expect(ByteSize.parseValue(value)).toBe(value));
  test.each([-1, 1.5, 2 ** 53, "1", Number.NaN, null])("refuses %p", value => {
    expect(() => ByteSize.parseValue(value)).toThrow("Not a ByteSize.");
  });
  test("takes a literal beyond Int, and none that is a text", () => {
    expect(ByteSize.parseLiteral(parseValue("5000000000"), {})).toBe(5_000_000_000);
    expect(() => ByteSize.parseLiteral(parseValue('"5"'), {})).toThrow("Not a ByteSize.");
  });
});

test.each(["", "A".repeat(64), "0".repeat(63), 7])("Sha256 refuses %j and does not repeat it", value => {
  expect(() => Sha256.parseValue(value)).toThrow(/^Not a Sha256\.$/);
});
