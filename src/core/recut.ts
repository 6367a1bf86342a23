/**
 * Cutting a whole but unfinished upload anew, for a form whose `chunk_size` comes after its file: slower, since every
 * byte is opened and sealed again under a new key, but right.
 */
import type { Caller } from "./model.js";
import { untilReclaimed } from "./reclaim.js";
import type { Uploads } from "./uploads.js";

/** The token of the upload that has the bytes now; the old one is abandoned. Throws what {@link Uploads.begin} throws. */
export async function recut(
  uploads: Uploads,
  { token, chunkBytes }: { token: string; chunkBytes: number },
  caller: Caller,
  given: AbortSignal,
): Promise<string> {
  const old = await uploads.find(token);
  if (uploads.checkLayout(chunkBytes).chunkBytes === old.layout.chunkBytes) return token;
  const { name, mediaType } = await uploads.metaOf(token);
  const { terms, offset: length } = old;
  const again = await uploads.begin({ name, mediaType, password: null, length, chunkBytes, terms }, caller);
  const { signal, onReclaim } = untilReclaimed(given);
  try {
    const plain = await uploads.read(token, 0, signal, onReclaim);
    await uploads.append(again.token, 0, plain, { lastByte: "by-length", signal, announcedBytes: length });
  } catch (error) {
    await uploads.abandon(again.token, caller);
    throw error;
  }
  await uploads.abandon(token, caller);
  return again.token;
}
