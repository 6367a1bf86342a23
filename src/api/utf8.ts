/** Strict, since what is replaced silently in a password opens nothing any more; a mark at the beginning is part of the text. */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text that the bytes are in UTF-8; null where they are none. */
export function utf8Of(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}
