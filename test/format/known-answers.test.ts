import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { FLOE_HEADER_BYTES, openSegments, resumeMessage } from "../../src/format/floe.js";

/**
 * Ciphertexts of the published FLOE implementations (Java, Go, C++, Rust), handed over beside the
 * repository.
 */
const FOLDER = join(import.meta.dirname, "../../../shared/floe-kats");
/**
 * The rotation cases change the AEAD key every 4 segments (2 bits of the position), so that they can be
 * short.
 */
const SHORT_ROTATION_BITS = 2;
const KEY = new Uint8Array(32);
const AAD = new TextEncoder().encode("This is AAD");

describe("FLOE, as others wrote it", () => {
  if (!existsSync(FOLDER)) {
    test.skip("known answers NOT RUN: ../shared/floe-kats is absent", () => {});
    return;
  }
  const names = readdirSync(FOLDER)
    .filter(file => file.endsWith("_ct.txt"))
    .map(file => file.slice(0, -"_ct.txt".length));

  test("every implementation is here", () => {
    for (const from of ["java_", "pub_java_", "go_", "cpp_", "rust_"]) {
      expect(names.filter(name => name.startsWith(from)).length).toBeGreaterThanOrEqual(3);
    }
    expect(names).toEqual(expect.arrayContaining(["java_lastSegAligned", "java_lastSegEmpty"]));
    expect(names).toHaveLength(17);
  });

  test.each(names)("opens %s", name => {
    const sealed = hexFile(`${name}_ct.txt`);
    const rotationBits = name.endsWith("_rotation") ? SHORT_ROTATION_BITS : 20;
    const message = resumeMessage(KEY, AAD, sealed.subarray(0, FLOE_HEADER_BYTES), rotationBits);
    const body = sealed.subarray(FLOE_HEADER_BYTES);
    expect(hex(openSegments(message, 0, body, true))).toBe(hex(hexFile(`${name}_pt.txt`)));

    const { segmentBytes } = message.params; // and one segment at a time, from anywhere
    const count = Math.ceil(body.length / segmentBytes);
    const parts = Array.from({ length: count }, (_, position) => {
      const segment = body.subarray(position * segmentBytes, (position + 1) * segmentBytes);
      return openSegments(message, position, segment, position === count - 1);
    });
    expect(hex(Buffer.concat(parts))).toBe(hex(hexFile(`${name}_pt.txt`)));
  });

  test.each(names.filter(name => name.endsWith("_rotation")))(
    "%s needs its early rotation: with 20 bits its fifth segment is refused",
    name => {
      const sealed = hexFile(`${name}_ct.txt`);
      const message = resumeMessage(KEY, AAD, sealed.subarray(0, FLOE_HEADER_BYTES));
      expect(() => openSegments(message, 0, sealed.subarray(FLOE_HEADER_BYTES), true)).toThrow(
        "segment 4 is not authentic",
      );
    },
  );
});

function hexFile(name: string): Buffer {
  return Buffer.from(readFileSync(join(FOLDER, name), "utf8").trim(), "hex");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
