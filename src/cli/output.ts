/** Where a command puts a file's bytes. */
import { open, unlink } from "node:fs/promises";
import { pipeline } from "node:stream/promises";

/** Standard output. */
export const TO_STDOUT = "-";

/** Pieces are lent, and a stream asks for the next before it has written the last. */
async function* copies(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) yield piece.slice();
}

/**
 * Writes the bytes, each piece of which is good until the next is asked for, to a new file that only its owner can read, or to
 * standard output. A file that is there already is not touched; one that could not be written to its end is removed.
 */
export async function writeOut(out: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  if (out === TO_STDOUT) return pipeline(bytes, copies, process.stdout, { end: false });
  const file = await open(out, "wx", 0o600);
  try {
    for await (const piece of bytes) await file.writeFile(piece);
    await file.sync();
  } catch (error) {
    await unlink(out).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
}
