/**
 * Bounds on slow clients, in place of Node's requestTimeout, which would cut long honest uploads too. Only time that
 * the client itself takes is held against it: while bytes lie here unread, or this process stands still, it is we who are
 * slow.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { VaultError } from "../core/errors.js";

export interface SenderLimits {
  /** Longest time without a byte of a request's body. */
  readonly idleTimeoutMs: number;
  /** Fewest bytes a second, on average over a window. */
  readonly minBytesPerSecond: number;
  readonly rateWindowMs: number;
}

const TICKS_PER_LIMIT = 5;
const MAX_TICK_MS = 1000;

const signals = new WeakMap<ServerResponse, AbortSignal>();

/** Fires when going on with the request is pointless: its client has gone, or is too slow. Its reason is a VaultError. */
export function signalOf(res: ServerResponse): AbortSignal {
  const signal = signals.get(res);
  if (!signal) throw new VaultError("INTERNAL", "a request that nobody watches");
  return signal;
}

/** Watches a request from its headers to the end of its answer. `onSlow` is called once, after the signal has fired. */
export function watch(
  req: IncomingMessage,
  res: ServerResponse,
  limits: SenderLimits,
  onSlow: (error: VaultError) => void,
): void {
  const stop = new AbortController();
  signals.set(res, stop.signal);
  const timer = watchSender(req, limits, error => {
    stop.abort(error);
    onSlow(error);
  });
  res.once("close", () => {
    clearInterval(timer);
    if (!res.writableFinished) stop.abort(new VaultError("BAD_REQUEST", "the client has gone"));
  });
}

function watchSender(
  req: IncomingMessage,
  limits: SenderLimits,
  onSlow: (error: VaultError) => void,
): NodeJS.Timeout {
  const tickMs = Math.min(
    MAX_TICK_MS,
    limits.idleTimeoutMs / TICKS_PER_LIMIT,
    limits.rateWindowMs / TICKS_PER_LIMIT,
  );
  const { socket } = req;
  let lastTick = performance.now();
  let seenBytes = socket.bytesRead;
  let idleMs = 0;
  let windowMs = 0;
  let windowBytes = 0;
  const timer = setInterval(() => {
    if (req.complete) return clearInterval(timer);
    const now = performance.now();
    const elapsedMs = Math.min(now - lastTick, 2 * tickMs); // a tick that is late finds bytes that nobody has read yet
    lastTick = now;
    const bytes = socket.bytesRead - seenBytes;
    seenBytes = socket.bytesRead;
    windowBytes += bytes;
    idleMs = bytes > 0 || isUnread(req) ? 0 : idleMs + elapsedMs;
    if (!isUnread(req)) windowMs += elapsedMs;
    if (idleMs >= limits.idleTimeoutMs) return cut(`no byte for ${Math.round(idleMs)} ms`);
    if (windowMs < limits.rateWindowMs) return;
    const bytesPerSecond = (windowBytes * 1000) / windowMs;
    if (bytesPerSecond < limits.minBytesPerSecond) return cut(`${Math.round(bytesPerSecond)} bytes a second`);
    windowMs = windowBytes = 0;
  }, tickMs).unref();
  const cut = (why: string) => {
    clearInterval(timer);
    onSlow(new VaultError("SLOW_CLIENT", why));
  };
  return timer;
}

/** Bytes have come that nobody here has taken yet. */
function isUnread(req: IncomingMessage): boolean {
  return req.readableLength > 0;
}

/** Cuts an answer whose reader takes nothing for `timeoutMs`. (Node counts progress of a write under way as activity.) */
export function cutStalledReader(res: ServerResponse, timeoutMs: number): void {
  res.setTimeout(timeoutMs, () => res.destroy());
}
