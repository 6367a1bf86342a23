/** The manifest of a file of a quarter of a million chunks: written and read a part at a time. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { DiskBucket } from "../../src/buckets/disk.js";
import { BucketSet } from "../../src/core/bucket-set.js";
import { Budget } from "../../src/core/budget.js";
import { ManifestMap } from "../../src/core/manifest-map.js";
import { writeManifest } from "../../src/core/manifest-writer.js";
import type { BucketRecord, ChunkRecord } from "../../src/core/model.js";
import { decodeCore, encodeCore, hashOf, sealOf } from "../../src/format/core.js";
import { startMessage } from "../../src/format/floe.js";
import { newFileId } from "../../src/format/id.js";
import { bodyAad, bodyKey, commitment, mapKey, newDek } from "../../src/format/keys.js";
import { chunkCount, layoutFor, plainBytesPerChunk } from "../../src/format/layout.js";
import { MAX_PART_ROWS, MapShape } from "../../src/format/manifest-map.js";
import { openBody, openHead } from "../../src/format/manifest.js";
import { silent } from "../support/log.js";

const CHUNKS = 166_667;
const PARITY = { dataChunks: 4, parityChunks: 2 };

const DEK = newDek();
const ID = newFileId();
const LAYOUT = layoutFor(1024);
const PLAIN_BYTES = CHUNKS * plainBytesPerChunk(LAYOUT);
const CORE = encodeCore({
  flags: 0,
  ...LAYOUT,
  plainBytes: PLAIN_BYTES,
  chunkCount: chunkCount(LAYOUT, PLAIN_BYTES),
  fileId: ID,
  floeHeader: startMessage(bodyKey(DEK), bodyAad(ID), LAYOUT.segmentBytes).header,
  commit: commitment(DEK),
  root: new Uint8Array(32),
});
const SHAPE = new MapShape(decodeCore(CORE), PARITY);

/** Rows as a database of so many gives them: the same each time. */
function rows(from: number, to: number): ChunkRecord[] {
  return [...SHAPE.places(from, Math.min(to + 1, SHAPE.stripeCount))].map(place => {
    const digest = createHash("sha256").update(`${place.stripe} ${place.shard}`).digest();
    const objectKey = digest.toString("hex", 0, 16);
    return { ...place, bucketId: 1 + (place.shard % 3), objectKey, digest: new Uint8Array(digest) };
  });
}

test("a map of 250,000 rows is never in memory whole, neither on its way out nor back", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sv-large-"));
  try {
    const opened = await Promise.all(
      [1, 2, 3].map(i => DiskBucket.open(`file://${folder}/${i}`, join(folder, String(i)))),
    );
    const records = opened.map(({ name }, i): BucketRecord => {
      return { id: i + 1, name, provider: "disk", region: null, domain: null, state: "active", weight: 1 };
    });
    const directory = { register: async () => records, list: async () => records, update: async () => null };
    const configured = opened.map(bucket => ({
      bucket,
      provider: "disk" as const,
      region: null,
      domain: null,
    }));
    const buckets = await BucketSet.open(configured, directory as never, silent);
    let [mostRows, underWay, mostUnderWay] = [0, 0, 0];
    const chunkMap = {
      async reserve() {},
      async chunks(_id: string, from: number, to: number) {
        mostUnderWay = Math.max(mostUnderWay, ++underWay);
        const page = rows(from, to);
        mostRows = Math.max(mostRows, page.length);
        underWay--;
        return page;
      },
    };
    const budget = new Budget(16 * 1024 * 1024, { maxWaiters: 1, idleGraceMs: 1000 });
    const file = {
      id: ID,
      hash: hashOf(CORE),
      core: CORE,
      seal: sealOf(DEK, CORE),
      meta: new Uint8Array(93),
      parity: PARITY,
      createdAt: new Date(),
      expiresAt: null,
      retainUntil: null,
      maxDownloads: null,
      downloadCount: 0,
    };
    const source = { file, wrap: new Uint8Array(randomBytes(118)), mapKey: mapKey(DEK), revision: 1 };
    const deps = { buckets, chunkMap, budget, random: Math.random, operatorKey: null };
    const written = await writeManifest(deps, { id: ID, lease: 0 }, source, { roots: [], parts: null });

    expect(SHAPE.rowCount).toBeGreaterThanOrEqual(250_000);
    expect(written.isComplete).toBe(true);
    expect(written.objects).toHaveLength(3 * (1 + SHAPE.partCount));
    expect(mostRows).toBeLessThanOrEqual(MAX_PART_ROWS);
    expect(mostUnderWay).toBe(1);
    expect(Math.max(...written.objects.map(({ storedBytes }) => storedBytes))).toBeLessThan(1024 * 1024);

    const [root] = written.objects;
    if (!root) throw new Error("no manifest");
    const object = (await buckets.port(root.bucketId).get(root.objectKey)) ?? new Uint8Array();
    const { core } = openHead(file.hash, root.objectKey, object);
    const body = openBody(mapKey(DEK), root.objectKey, object, core);
    let reads = 0;
    const bucketOf = (id: number) => ({
      get: (...args: Parameters<DiskBucket["get"]>) => {
        reads++;
        return buckets.port(id).get(...args);
      },
    });
    const map = new ManifestMap({ core: decodeCore(core), body, mapKey: mapKey(DEK), bucketOf });
    for (const from of [0, 2_700, 90_000, SHAPE.stripeCount - 64]) {
      expect(await map.chunks(ID, from, from + 63)).toEqual(rows(from, from + 63));
    }
    expect(reads).toBeLessThanOrEqual(5); // a page may reach into the next part
    // The parts are kept when the password changes.
    const again = await writeManifest(
      deps,
      { id: ID, lease: 0 },
      { ...source, revision: 2 },
      {
        roots: written.objects.filter(({ part }) => part === "root"),
        parts: written.objects.filter(({ part }) => part !== "root"),
      },
    );
    expect(again.objects.filter(({ part }) => part !== "root")).toEqual(
      written.objects.filter(({ part }) => part !== "root"),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}, 300_000);
