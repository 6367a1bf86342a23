/** One corruptor for each field of the format (the method of Tahoe-LAFS): readers, verifying and scrubbing each find it. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { ChunkRecord, StoredFile } from "../../src/core/model.js";
import { scrub } from "../../src/core/scrub.js";
import type { Vault } from "../support/vault.js";
import { UNPACED, bytesOf, openVault } from "../support/vault.js";

/** Two segments of 256 KiB each: the smallest chunk that has more than one. */
const CHUNK_BYTES = 512 * 1024;
const SEGMENT_BYTES = 256 * 1024;
const PASSWORD = "correct horse";
const PLAIN = bytesOf(CHUNK_BYTES + 1000, 1);

let vault: Vault;
let file: StoredFile;
beforeAll(async () => {
  vault = await openVault({ parity: "default" });
  file = await vault.store(PLAIN, { chunkBytes: CHUNK_BYTES });
});
afterAll(() => vault.close());

async function expectReadable(): Promise<void> {
  expect(Buffer.compare(await vault.read(file.hash, PASSWORD), PLAIN)).toBe(0); // toEqual takes seconds for as much
}

const flip = (bytes: Uint8Array, at: number) => bytes.with(at, (bytes[at] ?? 0) ^ 1);
const joined = (...parts: (Uint8Array | readonly number[])[]) =>
  new Uint8Array(Buffer.concat(parts.map(part => Uint8Array.from(part))));
const turned = (bytes: Uint8Array, by: number) => joined(bytes.subarray(by), bytes.subarray(0, by));

type Corrupt = (object: Uint8Array) => Uint8Array | null;
const OBJECT_FIELDS: readonly (readonly [string, Corrupt])[] = [
  ["the length word of a segment", object => flip(object, 3)],
  ["a length word that says it is the last", object => joined([0, 4, 0, 0], object.subarray(4))],
  ["the IV", object => flip(object, 4)],
  ["the first byte of the ciphertext", object => flip(object, 16)],
  ["the last byte of the ciphertext", object => flip(object, object.length - 17)],
  ["the tag", object => flip(object, object.length - 1)],
  ["the length word of the second segment", object => flip(object, secondOf(object))],
  ["the order of the segments", object => turned(object, secondOf(object) || 1)],
  ["the last byte, missing", object => object.subarray(0, -1)],
  ["the last segment, missing", object => object.subarray(0, secondOf(object))],
  ["a byte more", object => joined(object, [0])],
  ["everything, missing", () => null],
];

/** Where the second segment begins; 0: there is none. */
function secondOf(object: Uint8Array): number {
  return object.length > SEGMENT_BYTES ? SEGMENT_BYTES : 0;
}

describe("of a stored chunk", () => {
  test.each(OBJECT_FIELDS)(
    "%s: found and made again, in data and parity chunks alike",
    async (_, corrupt) => {
      const rows = () => vault.chunkMap.chunks(file.id, 0, 0);
      for (const [at, how] of (await rows()).entries()) {
        if (at % 3 === 1) continue; // the last chunk of the file, which is short, and a second parity chunk: as the others
        const row = (await rows())[at] as ChunkRecord;
        await vault.replace(row, corrupt(await vault.object(row)));
        await expectReadable();
        const scrubbed =
          at % 2 === 0
            ? await scrub(vault.scrubbable, { ...UNPACED, repairsUnreadable: false })
            : (await vault.verifier.verify(file.hash, vault.caller, UNPACED)).scrubbed;
        expect(scrubbed).toMatchObject({ bad: 1, repaired: 1 });
        expect((await rows())[at]).toMatchObject({ digest: how.digest });
      }
      expect((await vault.files.find(file.hash))?.status).toBe("available");
    },
  );
});

/** Where each field of the core begins (docs/format.md). */
const CORE_FIELDS: readonly (readonly [string, number])[] = [
  ["magic", 0],
  ["version", 4],
  ["flags", 5],
  ["segment size", 9],
  ["chunk size", 17],
  ["plaintext length", 25],
  ["chunk count", 33],
  ["file id", 34],
  ["FLOE parameters", 51],
  ["FLOE IV", 60],
  ["FLOE header tag", 92],
  ["commitment", 124],
  ["root", 156],
];
const WRAP_FIELDS: readonly (readonly [string, number])[] = [
  ["version", 0],
  ["kind", 1],
  ["KDF", 2],
  ["memory", 5],
  ["passes", 7],
  ["lanes", 8],
  ["pepper", 9],
  ["salt", 10],
  ["commitment", 26],
  ["IV", 58],
  ["wrapped key", 70],
  ["tag", 117],
];

/** Turns a bit of a column, has it looked at, and puts it right again. */
async function withBitTurned(
  table: "files" | "grants",
  column: string,
  at: number,
  look: () => Promise<void>,
): Promise<void> {
  const key = table === "files" ? "id" : "kind = 'password' and file_id";
  const turn = () =>
    vault.sql(
      `update ${table} set ${column} = set_byte(${column}, ${at}, get_byte(${column}, ${at}) # 1) where ${key} = ?`,
      [file.id],
    );
  await turn();
  try {
    await look();
  } finally {
    await turn();
  }
}

describe("of what the database holds", () => {
  test.each(CORE_FIELDS)("the core's %s: readers and verifying refuse the file", async (_, at) => {
    await withBitTurned("files", "core", at, async () => {
      await expect(vault.read(file.hash, PASSWORD)).rejects.toThrow();
      await expect(vault.verifier.verify(file.hash, vault.caller, UNPACED)).rejects.toMatchObject({
        code: "FILE_UNAVAILABLE",
      });
    });
    await expectReadable();
  });

  test.each(WRAP_FIELDS)("the wrap's %s: it opens with no password", async (_, at) => {
    await withBitTurned("grants", "wrap", at, async () => {
      await expect(vault.read(file.hash, PASSWORD)).rejects.toThrow();
    });
    await expectReadable();
  });

  test.each([
    ["the seal", "seal", 3],
    ["the sealed name", "meta", 20],
  ] as const)("%s: refused", async (_, column, at) => {
    await withBitTurned("files", column, at, async () => {
      await expect(vault.files.unlock(file.hash, PASSWORD, vault.caller)).rejects.toThrow();
    });
  });
});
