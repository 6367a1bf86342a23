/** What runs in each worker thread: seal or open one chunk, and hand the memory back without copying it. */
import { move, transferableSymbol, valueSymbol } from "piscina";
import { digestOf } from "../format/core.js";
import { FormatError } from "../format/errors.js";
import type { FloeMessage } from "../format/floe.js";
import { openSegments, sealSegments } from "../format/floe.js";

/** One piece of work; its buffers are the thread's until it answers. */
export type SealTask = {
  readonly message: FloeMessage;
  readonly position: number;
  readonly isLast: boolean;
} & (
  | { readonly verb: "seal"; readonly plain: Uint8Array<ArrayBuffer>; readonly into: ArrayBuffer }
  | { readonly verb: "open"; readonly stored: Uint8Array<ArrayBuffer> }
);

/** `used` is the task's own buffer, to be used again. */
export type SealAnswer =
  | { readonly bytes: Uint8Array<ArrayBuffer>; readonly digest: Uint8Array; readonly used: ArrayBuffer }
  // A FormatError does not keep its class on the way between threads, so it travels as data.
  | { readonly formatError: string };

export default function work(task: SealTask): unknown {
  try {
    const answer = task.verb === "seal" ? seal(task) : open(task);
    return move(new Moved(answer, [answer.bytes.buffer, answer.used]));
  } catch (error) {
    if (error instanceof FormatError) return { formatError: error.message } satisfies SealAnswer;
    throw error;
  }
}

function seal({ message, position, plain, isLast, into }: Extract<SealTask, { verb: "seal" }>) {
  const bytes = sealSegments(message, position, plain, isLast, { into });
  return { bytes, digest: digestOf(bytes), used: plain.buffer };
}

function open({ message, position, stored, isLast }: Extract<SealTask, { verb: "open" }>) {
  const bytes = openSegments(message, position, stored, isLast);
  return { bytes, digest: new Uint8Array(), used: stored.buffer };
}

/** Piscina's way to say: send `answer`, and transfer this memory with it. */
class Moved {
  readonly [transferableSymbol]: object;
  readonly [valueSymbol]: object;

  constructor(answer: SealAnswer, memory: ArrayBuffer[]) {
    this[transferableSymbol] = memory;
    this[valueSymbol] = answer;
  }
}
