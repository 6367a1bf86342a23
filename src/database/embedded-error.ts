/** The embedded database could not be started or kept. The message tells an operator what to do. */
export class EmbeddedError extends Error {
  override readonly name = "EmbeddedError";
}
