import { describe, expect, test } from "@jest/globals";
import { parse } from "content-disposition";
import fc from "fast-check";
import { dispositionHeader, safeMediaType, safeName } from "../../../src/api/rest/file-name.js";

const anyName = fc.string({ unit: "binary", maxLength: 400 });
const hostileName = fc
  .array(fc.oneof(anyName, fc.constantFrom("\r\n", '"', ";", "\0", "\u202e", "/", "\\", "..", "\ud800", "%")))
  .map(pieces => pieces.join(""));

describe("safeName", () => {
  test.each([
    ["report.pdf", "report.pdf", "an ordinary name stays"],
    ["Grüße 你好 🎉.txt", "Grüße 你好 🎉.txt", "and so does any script"],
    ["../../etc/passwd", "passwd", "a path is its last part"],
    ["C:\\Windows\\win.ini", "win.ini", "also with the other slash"],
    ["a\r\nSet-Cookie: x=1", "aSet-Cookie_ x=1", "line ends go"],
    ["evil\u202efdp.exe", "evilfdp.exe", "marks that turn the text around go"],
    ['a"b;c', "a_b;c", "quotes become lines"],
    ["..", "download", "nothing but dots is no name"],
    ["", "download", "nothing is no name"],
    [".bashrc", "bashrc", "no hidden file is planted"],
    ["\ud800x", "\ufffdx", "half a surrogate pair becomes U+FFFD"],
  ])("%j becomes %j: %s", (name, safe) => expect(safeName(name)).toBe(safe));

  test("a name of 10,000 letters is cut and keeps its extension", () => {
    const safe = safeName(`${"ä".repeat(10_000)}.tar.gz`);
    expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(200);
    expect(safe).toMatch(/^ä+.*\.gz$/);
  });

  test("is idempotent, short, and free of paths and controls, whatever it is given", () => {
    fc.assert(
      fc.property(hostileName, name => {
        const safe = safeName(name);
        expect(safe.length).toBeGreaterThan(0);
        expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(200);
        expect(safe).not.toMatch(/[/\\\p{Cc}\u202a-\u202e]/u);
        expect(safeName(safe)).toBe(safe);
      }),
    );
  });
});

describe("dispositionHeader", () => {
  test("is one line of printable ASCII that says attachment and gives the safe name back", () => {
    fc.assert(
      fc.property(hostileName, name => {
        const header = dispositionHeader(name, "attachment");
        expect(header).toMatch(/^attachment;[\x20-\x7e]*$/);
        expect(parse(header).parameters["filename"]).toBe(safeName(name));
      }),
    );
  });
});

describe("safeMediaType", () => {
  test.each([
    ["text/html", "text/html"],
    ["TEXT/Plain; charset=utf-8", "text/plain"],
    ["application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"],
    ["", "application/octet-stream"],
    ["text", "application/octet-stream"],
    ["text/html\r\nX-Evil: 1", "application/octet-stream"],
    [`text/${"x".repeat(100)}`, "application/octet-stream"],
  ])("%j becomes %j", (given, safe) => expect(safeMediaType(given)).toBe(safe));
});
