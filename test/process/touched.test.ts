/** Objects that were touched where they lie (T22): no download ever gives a wrong byte, or ends as if it were right. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import { field, link } from "../api/client.js";
import type { Received } from "./http.js";
import { open, receive, upload } from "./http.js";
import type { StoredObject } from "./remains.js";
import { objectsOf } from "./remains.js";

const SEGMENT_OVERHEAD_BYTES = 32;

let at: Installation;
let server: ServerProcess;
beforeAll(async () => {
  at = await Installation.make();
  server = await at.start({ PARITY: "none" }); // what parity heals is in test/core/parity.test.ts
}, 180_000);
afterAll(() => at.remove());

interface Stored {
  readonly plain: Buffer;
  readonly url: string;
  readonly objects: readonly StoredObject[];
  /** Plain bytes of each chunk, and where in the file they begin. */
  readonly spans: readonly { start: number; end: number }[];
}

async function store(
  plainBytes: number,
  chunkBytes: number,
  segments: number,
  seed: number,
): Promise<Stored> {
  const plain = Buffer.from(bytesOf(plainBytes, seed));
  const { hash } = await upload(server.url, plain, field("chunk_size", String(chunkBytes)));
  if (hash === null) throw new Error("not stored");
  const objects = await objectsOf(at, hash);
  const perChunk = chunkBytes - segments * SEGMENT_OVERHEAD_BYTES;
  const spans = objects.map((_, i) => ({
    start: i * perChunk,
    end: Math.min((i + 1) * perChunk, plainBytes),
  }));
  return { plain, url: await link(server.url, hash), objects, spans };
}

/** An error before the first byte, or a right beginning and a broken connection. */
function expectRefused({ status, code, bytes, isWhole }: Received, plain: Uint8Array): void {
  if (status === 503) {
    expect(code).toBe("FILE_UNAVAILABLE");
    return;
  }
  expect([0, 200, 206]).toContain(status); // 0: the connection was cut before what was right had left
  expect(isWhole).toBe(false);
  expect(bytes.length).toBeLessThan(plain.length);
  expect(Buffer.compare(bytes, plain.subarray(0, bytes.length))).toBe(0);
}

/** That chunk `damaged` cannot be had, neither by itself nor in the whole file, and that the others can. */
async function expectOnlyOthers({ plain, url, spans }: Stored, damaged: readonly number[]): Promise<void> {
  expectRefused(await receive(url), plain);
  for (const [index, span] of spans.entries()) {
    const received = await receive(url, span);
    const wanted = plain.subarray(span.start, span.end);
    if (damaged.includes(index)) expectRefused(received, wanted);
    else {
      expect({ status: received.status, isWhole: received.isWhole }).toEqual({ status: 206, isWhole: true });
      expect(Buffer.compare(received.bytes, wanted)).toBe(0);
    }
  }
}

/** Damages, looks, and mends. */
async function withDamage(file: Stored, index: number, damaged: Uint8Array | null): Promise<void> {
  const path = file.objects[index]?.path ?? "";
  const whole = await readFile(path);
  if (damaged) await writeFile(path, damaged);
  else await rm(path);
  await expectOnlyOthers(file, [index]).finally(() => writeFile(path, whole));
  expect(Buffer.compare((await receive(file.url)).bytes, file.plain)).toBe(0);
}

const flipped = (bytes: Buffer, at: number) => bytes.with(at, (bytes[at] ?? 0) ^ (1 << (at % 8)));

describe.each<[string, number, number, number]>([
  ["of one segment each", 4096, 1, 4 * 4064 + 100],
  ["of four segments each", 1 << 20, 4, 2 * ((1 << 20) - 4 * 32) + 300_000],
  ["of one whole segment at the end", 2048, 1, 3 * 2016],
])("every object of a file with chunks %s", (_, chunkBytes, segments, plainBytes) => {
  let file: Stored;
  let other: Stored;
  beforeAll(async () => {
    file = await store(plainBytes, chunkBytes, segments, 1);
    other = await store(plainBytes, chunkBytes, segments, 2);
    expect(file.objects.length).toBeGreaterThan(2);
  });

  async function eachObject(act: (index: number, bytes: Buffer) => Promise<void>): Promise<void> {
    for (const [index, { path }] of file.objects.entries()) await act(index, await readFile(path));
  }

  test("is refused with any bit flipped", async () => {
    await eachObject(async (index, bytes) => {
      const last = bytes.length - 1;
      // Length field, nonce, first of the text, the middle, the tag, the last.
      const places = [0, 3, 4, 15, 16, Math.floor(last / 2), last - 16, last];
      for (let at = segments === 1 ? 500 : 262_144; at < last; at += segments === 1 ? 500 : 262_144) {
        places.push(at);
      }
      for (const at of places) await withDamage(file, index, flipped(bytes, at));
    });
  }, 120_000);

  test("is refused when it was cut, at the border of a segment too", async () => {
    await eachObject(async (index, bytes) => {
      const lengths = [0, 1, 31, 32, bytes.length - 1];
      for (let border = 262_144; border < bytes.length; border += 262_144) lengths.push(border);
      for (const length of lengths) await withDamage(file, index, bytes.subarray(0, length));
    });
  }, 120_000);

  test("is refused when it is missing", async () => {
    await eachObject(async index => withDamage(file, index, null));
  });

  test("is refused when another file's of the same size stands in its place", async () => {
    await eachObject(async (index, bytes) => {
      const theirs = await readFile(other.objects[index]?.path ?? "");
      expect(theirs.length).toBe(bytes.length);
      await withDamage(file, index, theirs);
    });
  });

  test("is refused when it was swapped with any other", async () => {
    await eachObject(async (one, bytes) => {
      for (let two = one + 1; two < file.objects.length; two++) {
        const [a, b] = [file.objects[one]?.path ?? "", file.objects[two]?.path ?? ""];
        const theirs = await readFile(b);
        await Promise.all([writeFile(a, theirs), writeFile(b, bytes)]);
        try {
          await expectOnlyOthers(file, [one, two]);
        } finally {
          await Promise.all([writeFile(a, bytes), writeFile(b, theirs)]);
        }
      }
    });
    expect(Buffer.compare((await receive(file.url)).bytes, file.plain)).toBe(0);
  });

  test("says nothing of what was found in what a client reads", async () => {
    const path = file.objects[0]?.path ?? "";
    const bytes = await readFile(path);
    await writeFile(path, flipped(bytes, 20));
    const answer = await fetch(file.url);
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await answer.text()).not.toMatch(/authentic|chunk|object|bucket|segment|disk/i);
    await writeFile(path, bytes);
  });
});

test("all of it has cost the server nothing: a file goes in and comes back", async () => {
  const plain = bytesOf(3_000_000, 9);
  const { hash } = await upload(server.url, plain);
  expect(Buffer.compare(await open(server.url, hash ?? ""), plain)).toBe(0);
});
