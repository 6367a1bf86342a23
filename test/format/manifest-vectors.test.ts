import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { passwordKey } from "../../src/format/argon.js";
import { checkSeal, decodeCore } from "../../src/format/core.js";
import { mapKey } from "../../src/format/keys.js";
import type { ManifestBody } from "../../src/format/manifest-body.js";
import { hasMark, manifestPrefix, openEscrow } from "../../src/format/manifest-key.js";
import type { MapRow } from "../../src/format/manifest-map.js";
import { MapShape, openPart, sealPart } from "../../src/format/manifest-map.js";
import { escrowOf, openBody, openHead, sealManifest } from "../../src/format/manifest.js";
import { openMeta } from "../../src/format/meta.js";
import { decodePasswordParams, unwrapDek, wrapParams } from "../../src/format/wrap.js";
import { secondReading } from "../support/second-reader.js";

/** Written once, by a program over docs/format.md and not by the code under test (docs/format.md §13). */
const PATH = join(import.meta.dirname, "../vectors/sv1-manifests.json");

/** Bucket number, object key, and for a row the digest. */
type Where = readonly [number, string, string?];

interface ManifestVector {
  readonly name: string;
  readonly password: string;
  readonly operatorKey: string | null;
  readonly hash: string;
  readonly mapKey: string;
  readonly revision: number;
  readonly slot: number;
  readonly dataChunks: number;
  readonly parityChunks: number;
  readonly created: number;
  readonly expires: number;
  readonly retained: number;
  readonly allowed: number;
  readonly soFar: number;
  readonly sealedMeta: string;
  readonly buckets: Readonly<Record<string, string>>;
  readonly rowCount: number;
  readonly copies: number;
  readonly paddingBytes: number;
  readonly where: readonly Where[];
  readonly core: string;
  readonly wrap: string;
  readonly seal: string;
  readonly objectKey: string;
  readonly object64: string;
}
interface PartVector {
  readonly name: string;
  readonly mapKey: string;
  readonly objectKey: string;
  readonly part: number;
  readonly rowCount: number;
  readonly paddingBytes: number;
  readonly where: readonly Where[];
  readonly object64: string;
}

const { manifests, parts } = JSON.parse(readFileSync(PATH, "utf8")) as {
  manifests: ManifestVector[];
  parts: PartVector[];
};

describe("our reader opens, and our writer writes again,", () => {
  test.each(manifests)("the manifest $name", async vector => {
    const { objectKey, hash } = vector;
    const object = Buffer.from(vector.object64, "base64");
    expect(objectKey.slice(0, 16)).toBe(manifestPrefix(hash, vector.slot));
    const head = openHead(hash, objectKey, object);
    expect({ ...head, core: hex(head.core), wrap: hex(head.wrap) }).toEqual({
      revision: vector.revision,
      core: vector.core,
      wrap: vector.wrap,
    });
    const { fileId } = decodeCore(head.core);
    const params = decodePasswordParams(wrapParams(head.wrap, "password"));
    const ikm = await passwordKey(vector.password, params, fileId);
    const dek = unwrapDek({ kind: "password", record: head.wrap, ikm, fileId }) ?? missing();
    expect(hex(mapKey(dek))).toBe(vector.mapKey);
    const body = openBody(mapKey(dek), objectKey, object, head.core);
    expect(body).toEqual(bodyOf(vector));
    expect(checkSeal(dek, head.core, body.seal)).toBe(true);
    expect(openMeta(dek, fileId, body.meta).name).not.toBe("");

    const operatorKey = vector.operatorKey === null ? null : unhex(vector.operatorKey);
    if (operatorKey) {
      expect(hasMark(operatorKey, objectKey, object)).toBe(true);
      expect(openEscrow(operatorKey, objectKey, escrowOf(object))).toEqual({ hash, mapKey: mapKey(dek) });
    }
    const again = sealManifest(
      { objectKey, mapKey: mapKey(dek), operatorKey },
      { head, body },
      {
        noise: object.subarray(0, 108),
        escrowIv: object.subarray(16, 28),
        headIv: object.subarray(108, 120),
        bodyIv: object.subarray(450, 462),
        paddingBytes: vector.paddingBytes,
      },
    );
    expect(Buffer.compare(again, object)).toBe(0);
  });

  test.each(parts)("$name", vector => {
    const args = { mapKey: unhex(vector.mapKey), objectKey: vector.objectKey, part: vector.part };
    const object = Buffer.from(vector.object64, "base64");
    const rows = openPart(args, object, vector.rowCount);
    expect(rows).toEqual(vector.where.map(rowOf));
    const again = sealPart(args, rows, {
      iv: object.subarray(0, 12),
      paddingBytes: vector.paddingBytes,
    });
    expect(Buffer.compare(again, object)).toBe(0);
  });
});

test("a second reader, written from docs/format.md alone, opens every vector to the same", () => {
  const opened = secondReading(PATH);
  if (!opened) return;
  const expected = [
    ...manifests.map(vector => {
      const { name, revision, dataChunks, parityChunks, created, expires, retained, allowed, soFar } = vector;
      const { buckets, rowCount, copies, where, operatorKey } = vector;
      const terms = { created, expires, retained, allowed, soFar };
      const map = { dataChunks, parityChunks, buckets, rowCount, copies, where };
      return { group: "manifests", name, revision, isEscrowed: operatorKey !== null, ...terms, ...map };
    }),
    ...parts.map(({ name, where }) => ({ group: "parts", name, where })),
  ];
  expect(opened).toHaveLength(expected.length);
  for (const [i, one] of expected.entries()) expect(opened[i]).toMatchObject(one);
});

function bodyOf(vector: ManifestVector): ManifestBody {
  const { dataChunks, parityChunks } = vector;
  const partCount = new MapShape(decodeCore(unhex(vector.core)), { dataChunks, parityChunks }).partCount;
  const refs = vector.where.map(([bucketId, objectKey]) => ({ bucketId, objectKey }));
  const { copies } = vector;
  return {
    seal: unhex(vector.seal),
    profile: { dataChunks, parityChunks },
    createdAt: vector.created,
    expiresAt: vector.expires || null,
    retainUntil: vector.retained || null,
    maxDownloads: vector.allowed || null,
    downloadCount: vector.soFar,
    meta: unhex(vector.sealedMeta),
    buckets: new Map(Object.entries(vector.buckets).map(([number, name]) => [Number(number), name])),
    map:
      copies === 0
        ? { rows: vector.where.map(rowOf) }
        : {
            parts: Array.from({ length: partCount }, (_, part) =>
              refs.slice(part * copies, (part + 1) * copies),
            ),
          },
  };
}

function rowOf([bucketId, objectKey, digest = ""]: Where): MapRow {
  return { bucketId, objectKey, digest: unhex(digest) };
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
