/**
 * A bucket at Google Cloud Storage. Object names are the keys themselves: uniformly random, so that Google's
 * key-range scaling never sees a hot spot. Needs `storage.objects.create`, `get`, `list` and `delete`.
 */
import { crc32c } from "@node-rs/crc32";
import { z } from "zod";
import { BucketError } from "../core/errors.js";
import type { ObjectKey } from "../core/model.js";
import type { Bucket, ByteRange, KeyRange } from "../core/ports.js";
import type { GcsClient, GcsReply } from "./gcs-client.js";
import { parseJson } from "./gcs-client.js";
import { assertKeyRange, assertObjectKey, assertRange, isObjectKey, PAGE_KEYS } from "./object-key.js";

/** The fields by which an object is recognised. Google gives 64-bit numbers as strings. */
const Stored = z.object({ size: z.string(), crc32c: z.string() });
const Listing = z.object({
  items: z.array(z.object({ name: z.string() })).default([]),
  nextPageToken: z.string().optional(),
});

export class GcsBucket implements Bucket {
  readonly name: string;
  readonly #objects: string;

  constructor(
    private readonly client: GcsClient,
    bucket: string,
  ) {
    this.name = `gs://${bucket}`;
    this.#objects = `/storage/v1/b/${encodeURIComponent(bucket)}/o`;
  }

  async put(key: ObjectKey, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    assertObjectKey(key);
    const crc = crc32cBase64(bytes);
    const reply = await this.client.request({
      what: `${this.name}: put ${key}`,
      method: "POST",
      path: `/upload${this.#objects}`,
      query: { uploadType: "media", name: key, ifGenerationMatch: "0", fields: "size,crc32c" }, // 0: only if absent
      headers: { "content-type": "application/octet-stream", "x-goog-hash": `crc32c=${crc}` },
      body: bytes,
      answers: [400, 412],
      signal,
    });
    if (reply.status === 412) return await this.#expectHolds(key, bytes.byteLength, crc, signal);
    // 400 is Google's word for bytes that do not match their checksum: they were damaged on the way.
    const isStored = reply.status !== 400 && matches(reply, bytes.byteLength, crc);
    // Never undone: the object may be right and the answer damaged. The next attempt meets it and compares (412).
    if (!isStored) throw this.#unavailable(`put ${key}: ${reply.status}, not stored as sent`);
  }

  async get(key: ObjectKey, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array | null> {
    assertObjectKey(key);
    assertRange(range);
    const reply = await this.client.request({
      what: `${this.name}: get ${key}`,
      method: "GET",
      path: `${this.#objects}/${key}`,
      query: { alt: "media" },
      headers: {
        "accept-encoding": "identity",
        "cache-control": "no-store",
        ...(range && { range: `bytes=${range.first}-${range.last}` }),
      },
      answers: [404, 416],
      signal,
    });
    if (reply.status === 404) {
      await this.#expectBucket(signal);
      return null;
    }
    if (reply.status === 416) return new Uint8Array(); // the object ends before the range begins
    if (range && reply.status === 206) return this.#checkRange(key, range, reply);
    this.#checkWhole(key, reply);
    return range ? reply.bytes.slice(range.first, range.last + 1) : reply.bytes;
  }

  async delete(key: ObjectKey, signal?: AbortSignal): Promise<void> {
    assertObjectKey(key);
    const reply = await this.client.request({
      what: `${this.name}: delete ${key}`,
      method: "DELETE",
      path: `${this.#objects}/${key}`,
      answers: [404],
      signal,
    });
    if (reply.status === 404) await this.#expectBucket(signal);
  }

  async list(range: KeyRange = {}, signal?: AbortSignal): Promise<readonly ObjectKey[]> {
    assertKeyRange(range);
    const { after, prefix } = range;
    let pageToken: string | undefined;
    do {
      const reply = await this.client.request({
        what: `${this.name}: list`,
        method: "GET",
        path: this.#objects,
        query: {
          maxResults: String(PAGE_KEYS),
          fields: "items(name),nextPageToken",
          // startOffset is inclusive. No key lies between `after` and `after` with a digit more.
          ...(after && { startOffset: `${after}0` }),
          ...(prefix && { prefix }),
          ...(pageToken !== undefined && { pageToken }),
        },
        signal,
      });
      const listing = Listing.safeParse(parseJson(reply.bytes));
      if (!listing.success) throw this.#unavailable("list: the answer is not a listing");
      // A page may be short or empty and not be the last; what is not ours is passed over.
      const keys = listing.data.items.map(({ name }) => name).filter(isObjectKey);
      if (keys.length > 0) return keys;
      pageToken = listing.data.nextPageToken;
    } while (pageToken !== undefined);
    return [];
  }

  /**
   * After "exists": success if it is what we wanted to put. Size and CRC-32C suffice: keys are random, so only an
   * attempt of our own can have put something here, and core's digests and AEAD do not depend on it.
   */
  async #expectHolds(
    key: ObjectKey,
    size: number,
    crc: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const reply = await this.client.request({
      what: `${this.name}: put ${key}: compare`,
      method: "GET",
      path: `${this.#objects}/${key}`,
      query: { fields: "size,crc32c" },
      answers: [404],
      signal,
    });
    if (reply.status === 404) throw this.#unavailable(`put ${key}: existed, and is gone`);
    if (matches(reply, size, crc)) return;
    throw new BucketError("conflict", `${this.name}: put ${key}: holds other bytes`);
  }

  /** 404 is said of an object and of its bucket in the same words: only a missing bucket cannot be listed. */
  async #expectBucket(signal: AbortSignal | undefined): Promise<void> {
    await this.client.request({
      what: `${this.name}: does the bucket exist`,
      method: "GET",
      path: this.#objects,
      query: { maxResults: "1", fields: "nextPageToken" },
      signal,
    });
  }

  /** Google checks what it sends against nothing; whole objects can be checked here, ranges by their AEAD alone. */
  #checkWhole(key: ObjectKey, { headers, bytes }: GcsReply): void {
    const sent = /crc32c=([A-Za-z0-9+/=]+)/.exec(headers.get("x-goog-hash") ?? "")?.[1];
    if (sent !== undefined && sent !== crc32cBase64(bytes))
      throw this.#unavailable(`get ${key}: crc32c differs`);
  }

  #checkRange(key: ObjectKey, range: ByteRange, { headers, bytes }: GcsReply): Uint8Array {
    const isAsked = headers.get("content-range")?.startsWith(`bytes ${range.first}-`) ?? false;
    if (isAsked && bytes.byteLength <= range.last - range.first + 1) return bytes;
    throw this.#unavailable(`get ${key}: another range than asked`);
  }

  #unavailable(message: string): BucketError {
    return new BucketError("unavailable", `${this.name}: ${message}`);
  }
}

function matches(reply: GcsReply, size: number, crc: string): boolean {
  const stored = Stored.safeParse(parseJson(reply.bytes));
  return stored.success && stored.data.size === String(size) && stored.data.crc32c === crc;
}

/** As Google writes it: base64 of the big-endian 32 bits. */
function crc32cBase64(bytes: Uint8Array): string {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32c(bytes));
  return value.toString("base64");
}
