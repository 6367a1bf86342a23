import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { passwordKey } from "../../src/format/argon.js";
import {
  checkSeal,
  decodeCore,
  digestOf,
  encodeCore,
  hashOf,
  RootHasher,
  sealOf,
} from "../../src/format/core.js";
import {
  FLOE_HEADER_BYTES,
  openSegments,
  resumeMessage,
  sealSegments,
  startMessage,
} from "../../src/format/floe.js";
import type { FileId } from "../../src/format/id.js";
import { idBytes } from "../../src/format/id.js";
import { bodyAad, bodyKey, commitment, tailAad, tailKey } from "../../src/format/keys.js";
import { chunkCount, layoutFor, plainBytesPerChunk, segmentsPerChunk } from "../../src/format/layout.js";
import type { FileMeta } from "../../src/format/meta.js";
import { openMeta, sealMeta } from "../../src/format/meta.js";
import { parseToken, tokenId, tokenKey } from "../../src/format/token.js";
import {
  decodeLinkParams,
  decodePasswordParams,
  decodeUploadParams,
  unwrapDek,
  wrapDek,
  wrapParams,
} from "../../src/format/wrap.js";

/**
 * Written once, never by the code under test (docs/format.md §13). Fields end in 64 where they are base64;
 * else hex.
 */
const FOLDER = join(import.meta.dirname, "../vectors");

interface Plain {
  readonly bytes: number;
  readonly sha256: string;
}
interface FileVector {
  readonly name: string;
  readonly password: string;
  readonly pepper: string | null;
  readonly requestedChunkBytes: number;
  readonly chunkBytes: number;
  readonly segmentBytes: number;
  readonly plain: Plain;
  readonly meta: FileMeta;
  readonly hash: string;
  readonly core: string;
  readonly seal: string;
  readonly wrap: string;
  readonly sealedMeta: string;
  readonly objects64: readonly string[];
}
interface WrapVector {
  readonly name: string;
  readonly kind: "password" | "link" | "upload";
  readonly fileId: FileId;
  readonly password?: string;
  readonly pepper?: string | null;
  readonly token?: string;
  readonly tokenId?: string;
  readonly params: object;
  readonly dek: string;
  readonly record: string;
}
interface TailVector {
  readonly name: string;
  readonly fileId: FileId;
  readonly dek: string;
  readonly tailStart: number;
  readonly segmentBytes: number;
  readonly plain: Plain;
  readonly object64: string;
}
interface SegmentsVector {
  readonly name: string;
  readonly fileId: FileId;
  readonly dek: string;
  readonly header: string;
  readonly position: number;
  readonly isLast: boolean;
  readonly plain: Plain;
  readonly stored: string;
}
interface MetaVector {
  readonly name: string;
  readonly fileId: FileId;
  readonly dek: string;
  readonly meta: FileMeta;
  readonly sealed: string;
}

const { files } = read<{ files: FileVector[] }>("sv1-files.json");
const { wraps } = read<{ wraps: WrapVector[] }>("sv1-wraps.json");
const { tails } = read<{ tails: TailVector[] }>("sv1-tails.json");
const { segments } = read<{ segments: SegmentsVector[] }>("sv1-segments.json");
const { metas } = read<{ metas: MetaVector[] }>("sv1-metas.json");

describe("our reader opens, and our writer writes again,", () => {
  test.each(files)("the file: $name", async vector => {
    const core = decodeCore(unhex(vector.core));
    expect(hashOf(unhex(vector.core))).toBe(vector.hash);
    expect(hex(encodeCore(core))).toBe(vector.core);
    const layout = layoutFor(vector.requestedChunkBytes);
    expect({ chunkBytes: core.chunkBytes, segmentBytes: core.segmentBytes }).toEqual(layout);
    expect(core.plainBytes).toBe(vector.plain.bytes);

    const dek = await dekByPassword(unhex(vector.wrap), core.fileId, vector.password, vector.pepper);
    expect(checkSeal(dek, unhex(vector.core), unhex(vector.seal))).toBe(true);
    expect(hex(sealOf(dek, unhex(vector.core)))).toBe(vector.seal);
    expect(hex(core.commit)).toBe(hex(commitment(dek)));

    const objects = vector.objects64.map(text => Buffer.from(text, "base64"));
    const hasher = new RootHasher();
    for (const object of objects) hasher.add(digestOf(object));
    expect(hex(hasher.root())).toBe(hex(core.root));
    expect(objects).toHaveLength(chunkCount(layout, core.plainBytes));

    const message = resumeMessage(bodyKey(dek), bodyAad(core.fileId), core.floeHeader);
    const opened = openSegments(message, 0, Buffer.concat(objects), true);
    expectPattern(opened, vector.plain);
    const started = startMessage(
      bodyKey(dek),
      bodyAad(core.fileId),
      core.segmentBytes,
      core.floeHeader.subarray(10, 42),
    );
    expect(hex(started.header)).toBe(hex(core.floeHeader));
    const per = plainBytesPerChunk(layout);
    for (const [i, object] of objects.entries()) {
      const plain = opened.subarray(i * per, (i + 1) * per);
      const position = i * segmentsPerChunk(layout);
      const ivs = ivsOf(object, layout.segmentBytes);
      const again = sealSegments(message, position, plain, i === objects.length - 1, { ivs });
      expect(Buffer.compare(again, object)).toBe(0);
    }

    const sealedMeta = unhex(vector.sealedMeta);
    expect(openMeta(dek, core.fileId, sealedMeta)).toEqual(vector.meta);
    expect(hex(sealMeta(dek, core.fileId, vector.meta, sealedMeta.subarray(1, 13)))).toBe(vector.sealedMeta);
  });

  test.each(wraps)("the wrap: $name", async vector => {
    const { kind, fileId } = vector;
    const record = unhex(vector.record);
    const params = wrapParams(record, kind);
    let ikm: Uint8Array;
    if (kind === "password") {
      const decoded = decodePasswordParams(params);
      expect({ ...decoded, salt: hex(decoded.salt) }).toEqual(vector.params);
      ikm = await passwordKey(
        vector.password ?? "",
        decoded,
        fileId,
        vector.pepper ? unhex(vector.pepper) : undefined,
      );
    } else {
      expect(kind === "link" ? decodeLinkParams(params) : decodeUploadParams(params)).toEqual(vector.params);
      const token = parseToken(vector.token ?? "") ?? new Uint8Array();
      expect(hex(tokenId(token, kind))).toBe(vector.tokenId);
      ikm = tokenKey(token, kind);
    }
    const dek = unwrapDek({ kind, record, ikm, fileId });
    expect(dek && hex(dek)).toBe(vector.dek);
    const iv = record.subarray(-60, -48);
    expect(hex(wrapDek({ kind, params, ikm, fileId, dek: unhex(vector.dek), iv }))).toBe(vector.record);
  });

  test.each(tails)("the tail: $name", vector => {
    const object = Buffer.from(vector.object64, "base64");
    const header = object.subarray(0, FLOE_HEADER_BYTES);
    const message = resumeMessage(
      tailKey(unhex(vector.dek)),
      tailAad(vector.fileId, vector.tailStart),
      header,
    );
    expect(message.params.segmentBytes).toBe(vector.segmentBytes);
    expectPattern(openSegments(message, 0, object.subarray(FLOE_HEADER_BYTES), true), vector.plain);
  });

  test.each(segments)("segments: $name", vector => {
    const message = resumeMessage(bodyKey(unhex(vector.dek)), bodyAad(vector.fileId), unhex(vector.header));
    const stored = unhex(vector.stored);
    const opened = openSegments(message, vector.position, stored, vector.isLast);
    expectPattern(opened, vector.plain);
    const ivs = ivsOf(stored, message.params.segmentBytes);
    expect(hex(sealSegments(message, vector.position, opened, vector.isLast, { ivs }))).toBe(vector.stored);
  });

  test.each(metas)("the metadata: $name", vector => {
    const sealed = unhex(vector.sealed);
    expect(openMeta(unhex(vector.dek), vector.fileId, sealed)).toEqual(vector.meta);
    expect(hex(sealMeta(unhex(vector.dek), vector.fileId, vector.meta, sealed.subarray(1, 13)))).toBe(
      vector.sealed,
    );
  });
});

describe("a second reader, written from docs/format.md alone,", () => {
  const needs =
    "python3 with its cryptography package (Debian: apt-get install python3 python3-cryptography)";
  const python = spawnSync("python3", ["-c", "import cryptography.hazmat.primitives.ciphers.aead"]);
  if (python.status !== 0) {
    if (process.env["CI"] === "true") {
      test("is there", () => {
        throw new Error(`this test needs ${needs}`);
      });
    } else {
      test.skip(`NOT RUN: it needs ${needs}`, () => {});
    }
    return;
  }
  const script = join(import.meta.dirname, "../support/decrypt.py");
  const decrypt = (...paths: string[]) => spawnSync("python3", [script, ...paths], { encoding: "utf8" });

  test("opens every vector to the same", () => {
    const paths = ["files", "wraps", "tails", "segments", "metas"].map(name =>
      join(FOLDER, `sv1-${name}.json`),
    );
    const output = execFileSync("python3", [script, ...paths], { encoding: "utf8" });
    const lines = output.trim().split("\n");
    const opened: unknown[] = lines.map(line => JSON.parse(line));
    const expected = [
      ...files.map(({ name, hash, chunkBytes, segmentBytes, plain, meta }) => {
        return { group: "files", name, hash, chunkBytes, segmentBytes, plain, meta };
      }),
      ...wraps.map(({ name, dek, params, tokenId = null }) => ({
        group: "wraps",
        name,
        dek,
        params,
        tokenId,
      })),
      ...tails.map(({ name, plain }) => ({ group: "tails", name, plain })),
      ...segments.map(({ name, plain }) => ({ group: "segments", name, plain })),
      ...metas.map(({ name, meta }) => ({ group: "metas", name, meta })),
    ];
    expect(opened).toHaveLength(expected.length);
    expect(opened).toEqual(expect.arrayContaining(expected));
  });

  test("refuses what is not what was sealed", () => {
    const [file = missing(), , , chunks = missing()] = files;
    const flipped = (text: string) =>
      text.slice(0, -1) + (Number.parseInt(text.slice(-1), 16) ^ 1).toString(16);
    const [first = "", second = "", ...rest] = chunks.objects64;
    const changes: [string, FileVector][] = [
      ["this is not the key of the wrap", { ...file, password: `${file.password}!` }],
      ["a box is not authentic", { ...file, wrap: flipped(file.wrap) }],
      ["the hash", { ...file, core: flipped(file.core) }],
      ["the seal", { ...file, seal: flipped(file.seal) }],
      ["the root", { ...chunks, objects64: [second, first, ...rest] }],
      ["a box is not authentic", { ...file, sealedMeta: flipped(file.sealedMeta) }],
    ];
    const folder = mkdtempSync(join(tmpdir(), "sv-vectors-"));
    try {
      for (const [why, vector] of changes) {
        const path = join(folder, "changed.json");
        writeFileSync(path, JSON.stringify({ files: [vector] }));
        const { status, stderr } = decrypt(path);
        expect([status, stderr.trim()]).toEqual([1, expect.stringContaining(`refused: ${why}`)]);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

function read<T>(name: string): T {
  return JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as T;
}

async function dekByPassword(
  record: Uint8Array,
  fileId: FileId,
  password: string,
  pepper: string | null,
): Promise<Uint8Array> {
  expect(idBytes(fileId)).toHaveLength(16);
  const params = decodePasswordParams(wrapParams(record, "password"));
  const ikm = await passwordKey(password, params, fileId, pepper ? unhex(pepper) : undefined);
  return unwrapDek({ kind: "password", record, ikm, fileId }) ?? missing();
}

/** `pattern` of docs/format.md §13, made here and not taken from the vector. */
function expectPattern(opened: Uint8Array, plain: Plain): void {
  const pattern = Uint8Array.from({ length: plain.bytes }, (_, i) => (i * 31 + Math.floor(i / 251)) % 256);
  expect(Buffer.compare(opened, pattern)).toBe(0);
  expect(createHash("sha256").update(opened).digest("hex")).toBe(plain.sha256);
}

/** The IVs that stand in sealed segments, one after the other. */
function ivsOf(stored: Uint8Array, segmentBytes: number): Uint8Array {
  const count = Math.ceil(stored.length / segmentBytes);
  const ivs = Array.from({ length: count }, (_, i) =>
    stored.subarray(i * segmentBytes + 4, i * segmentBytes + 16),
  );
  return Buffer.concat(ivs);
}

function missing(): never {
  throw new Error("a vector is missing, or did not open");
}

function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
