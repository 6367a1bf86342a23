/** The durable bytes after the last whole chunk of an open upload: sealed as a message of their own, one object. */
import { FLOE_HEADER_BYTES, resumeMessage, startMessage } from "../format/floe.js";
import { tailAad, tailKey } from "../format/keys.js";
import type { BucketSet } from "./bucket-set.js";
import { VaultError } from "./errors.js";
import type { Tail, Upload } from "./model.js";
import type { Sealer } from "./sealing.js";
import type { Scatter } from "./scatter.js";

/** Seals `plain`, which starts at the plain offset `start`, and stores it. A fresh header each time: never the same nonce. */
export async function storeTail(
  { scatter, sealer }: { scatter: Scatter; sealer: Sealer },
  upload: Upload,
  dek: Uint8Array,
  start: number,
  plain: Uint8Array,
): Promise<Tail> {
  const plainBytes = plain.length; // read before the sealer takes the buffer
  const { header, message } = startMessage(
    tailKey(dek),
    tailAad(upload.id, start),
    upload.layout.segmentBytes,
  );
  const sealed = await sealer.seal(message, 0, plain, true);
  const ref = await scatter.storeLoose(Buffer.concat([header, sealed.bytes]));
  return { ...ref, plainBytes };
}

/** Reads a tail back. Throws FILE_UNAVAILABLE when its object is missing; a FormatError when it is not authentic. */
export async function loadTail(
  { buckets, sealer }: { buckets: BucketSet; sealer: Sealer },
  upload: Upload,
  dek: Uint8Array,
): Promise<Uint8Array> {
  if (!upload.tail) return new Uint8Array();
  const { bucketId, objectKey, plainBytes } = upload.tail;
  const object = await buckets.port(bucketId).get(objectKey);
  if (!object)
    throw new VaultError("FILE_UNAVAILABLE", `upload ${upload.id}: its tail ${objectKey} is missing`);
  const aad = tailAad(upload.id, upload.offset - plainBytes);
  const message = resumeMessage(tailKey(dek), aad, object.subarray(0, FLOE_HEADER_BYTES));
  const plain = await sealer.open(message, 0, object.slice(FLOE_HEADER_BYTES), true);
  if (plain.length !== plainBytes) {
    throw new VaultError(
      "INTERNAL",
      `upload ${upload.id}: tail of ${plain.length} bytes, ${plainBytes} expected`,
    );
  }
  return plain;
}
