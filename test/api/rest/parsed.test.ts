import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { formParts } from "../../../src/api/rest/form.js";

const BOUNDARY = "----a-boundary";

function formOf(fields: readonly string[], file: Uint8Array, later: readonly string[]): Buffer {
  const field = (value: string) =>
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="f"\r\n\r\n${value}\r\n`;
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n`;
  return Buffer.concat([
    Buffer.from(fields.map(field).join("") + head),
    file,
    Buffer.from(`\r\n${later.map(field).join("")}--${BOUNDARY}--\r\n`),
  ]);
}

/** The body as a connection brings it: each piece in memory of its own. */
function requestOf(body: Uint8Array, cuts: readonly number[]): { req: IncomingMessage; pieces: Buffer[] } {
  const ends = [...new Set(cuts.map(cut => cut % body.length))].sort((a, b) => a - b);
  const pieces = [...ends, body.length].map((end, i) => {
    const bytes = body.subarray(ends[i - 1] ?? 0, end);
    return Buffer.from(new Uint8Array(bytes).buffer);
  });
  const req = Object.assign(Readable.from(pieces.filter(({ length }) => length > 0)), {
    headers: { "content-type": `multipart/form-data; boundary=${BOUNDARY}` },
  });
  return { req: req as unknown as IncomingMessage, pieces };
}

/** Text that keeps the parser guessing: parts of the boundary among anything else, but never all of it, which ends a file. */
const file = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 5000 }),
      fc
        .constantFrom("\r", "\r\n", "\r\n--", `\r\n--${BOUNDARY.slice(0, -1)}`, `\r\n-${BOUNDARY}`)
        .map(text => Buffer.from(text)),
    ),
    { maxLength: 12 },
  )
  .map(parts => Buffer.concat(parts))
  .filter(bytes => !bytes.includes(`\r\n--${BOUNDARY}`))
  .map(bytes => new Uint8Array(bytes));

test("a form's file is byte-equal, however its pieces were cut, though each is freed once a later one is read", async () => {
  const values = fc.array(fc.stringMatching(/^[a-z]{0,200}$/), { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(
      values,
      file,
      values,
      fc.array(fc.nat(), { maxLength: 20 }),
      async (before, bytes, after, cuts) => {
        const { req } = requestOf(formOf(before, bytes, after), cuts);
        const got: { fields: string[]; file: Buffer } = { fields: [], file: Buffer.alloc(0) };
        for await (const part of formParts(req, new AbortController().signal)) {
          if (part.kind === "field") got.fields.push(part.value);
          else for await (const piece of part.bytes) got.file = Buffer.concat([got.file, piece]);
        }
        expect(got.fields).toEqual([...before, ...after]);
        expect(got.file.equals(bytes)).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});

test("of a large file only the last pieces are still in memory at its end", async () => {
  const bytes = new Uint8Array(4_000_000).map((_, i) => i % 251);
  const cuts = Array.from({ length: 61 }, (_, i) => (i + 1) * 65_536);
  const { req, pieces } = requestOf(formOf([], bytes, []), cuts);
  for await (const part of formParts(req, new AbortController().signal)) {
    if (part.kind === "file") for await (const _ of part.bytes); // read to its end
  }
  const kept = pieces.filter(({ buffer }) => !(buffer as ArrayBuffer).detached);
  expect(kept.length).toBeLessThanOrEqual(2);
});
