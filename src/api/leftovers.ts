/**
 * Answering before the whole request has come. Closing a socket with unread bytes makes the kernel reset it, and the
 * client may lose the answer; reading for ever makes us work for nothing. So what is left is read and dropped, but only
 * so much and for so long.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

const MAX_DROPPED_BYTES = 8 * 1024 * 1024;
const MAX_LINGER_MS = 2000;

/** Ends `res` with `body`, whose length the headers tell; the connection closes if the request has not all come. */
export async function endEarly(req: IncomingMessage, res: ServerResponse, body: string): Promise<void> {
  if (req.complete || req.destroyed) {
    req.resume(); // its last bytes may lie unread, and would hold up the next request of the connection
    res.end(body);
    return;
  }
  res.setHeader("Connection", "close");
  // The client has the whole answer now; only the end of it, which closes the socket, waits.
  res.write(body);
  await drop(req);
  res.end();
}

/** For answers that others end: closes the connection if what is left of the request is too much to read and drop. */
export function boundLeftovers(req: IncomingMessage, res: ServerResponse): void {
  res.once("finish", () => {
    if (req.complete || req.destroyed) return;
    void drop(req).then(() => {
      if (!req.complete) req.destroy();
    });
  });
}

/** Resolves at the end of the request, or when it has been given enough. */
function drop(req: IncomingMessage): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let dropped = 0;
  const timer = setTimeout(resolve, MAX_LINGER_MS);
  req.unpipe();
  req.on("data", (piece: Buffer) => {
    dropped += piece.length;
    if (dropped > MAX_DROPPED_BYTES) resolve();
  });
  req
    .once("end", resolve)
    .once("close", resolve)
    .once("error", () => resolve());
  req.resume();
  return promise.finally(() => clearTimeout(timer));
}
