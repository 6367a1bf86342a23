/** What runs in each worker thread: one piece of work on one chunk or stripe, whose memory is handed back without copying. */
import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import { move, transferableSymbol, valueSymbol } from "piscina";
import { digestOf } from "../format/core.js";
import { FormatError } from "../format/errors.js";
import type { FloeMessage } from "../format/floe.js";
import { openSegments, sealSegments } from "../format/floe.js";
import type { ParityProfile } from "../format/parity/code.js";
import { accumulate } from "../format/parity/encode.js";
import type { Columns, StripeRead } from "../format/parity/rebuild.js";
import { rebuild } from "../format/parity/rebuild.js";

type Bytes = Uint8Array<ArrayBuffer>;

interface Segments {
  readonly message: FloeMessage;
  readonly position: number;
  readonly isLast: boolean;
}

/** A stripe's parity under way, as it travels. */
export interface SumTask {
  readonly profile: ParityProfile;
  readonly shard: number;
  readonly chunks: readonly Bytes[];
  readonly isEmpty: boolean;
}

/** One piece of work; its buffers are the thread's until it answers. */
export type Task =
  | ({ readonly verb: "seal"; readonly plain: Bytes; readonly into: ArrayBuffer } & Segments & {
        readonly sum: SumTask | null;
      })
  | ({ readonly verb: "open"; readonly stored: Bytes } & Segments)
  | { readonly verb: "add"; readonly stored: Bytes; readonly sum: SumTask }
  | { readonly verb: "hash"; readonly id: string; readonly plain: Bytes }
  | { readonly verb: "endHash"; readonly id: string }
  | { readonly verb: "digest"; readonly chunks: readonly Bytes[] }
  | {
      readonly verb: "rebuild";
      readonly read: Omit<StripeRead, "present"> & { readonly present: ReadonlyMap<number, Bytes> };
      readonly missing: readonly number[];
      readonly columns: Columns | undefined;
    };

/** What came of it: `chunks` are what was sealed, opened or rebuilt, or the sum; `used` is memory to be used again. */
export interface Done {
  readonly chunks: readonly Bytes[];
  readonly digests: readonly Uint8Array[];
  /** The sum that a sealed chunk was added to. */
  readonly sum: readonly Bytes[];
  readonly used: readonly ArrayBuffer[];
}

/** A FormatError does not keep its class on the way between threads, so it travels as data. */
export type TaskAnswer = Done | { readonly formatError: string };

const NOTHING: Done = { chunks: [], digests: [], sum: [], used: [] };

export default function work(task: Task): unknown {
  try {
    const done = { ...NOTHING, ...doIt(task) };
    const memory = [...done.chunks, ...done.sum].map(({ buffer }) => buffer);
    return move(new Moved(done, [...memory, ...done.used]));
  } catch (error) {
    if (error instanceof FormatError) return { formatError: error.message } satisfies TaskAnswer;
    throw error;
  }
}

function doIt(task: Task): Partial<Done> {
  switch (task.verb) {
    case "seal": {
      const { message, position, plain, isLast, into, sum } = task;
      const bytes = sealSegments(message, position, plain, isLast, { into });
      if (sum) addTo(sum, bytes);
      return { chunks: [bytes], digests: [digestOf(bytes)], sum: sum?.chunks ?? [], used: [plain.buffer] };
    }
    case "open": {
      const { message, position, stored, isLast } = task;
      return { chunks: [openSegments(message, position, stored, isLast)], used: [stored.buffer] };
    }
    case "add":
      addTo(task.sum, task.stored);
      return { sum: task.sum.chunks, used: [task.stored.buffer] };
    case "hash":
      hashOf(task.id).update(task.plain);
      return { chunks: [task.plain] };
    case "endHash": {
      const digest = hashOf(task.id).digest();
      hashes.delete(task.id);
      return { digests: [digest] };
    }
    case "digest":
      return { chunks: task.chunks, digests: task.chunks.map(digestOf) };
    case "rebuild": {
      const used = [...task.read.present.values()].map(({ buffer }) => buffer);
      return { chunks: rebuild(task.read, task.missing, task.columns), used };
    }
  }
}

/** The hashes that run on this thread. */
const hashes = new Map<string, Hash>();

function hashOf(id: string): Hash {
  const known = hashes.get(id);
  if (known) return known;
  const begun = createHash("sha256");
  hashes.set(id, begun);
  return begun;
}

function addTo({ profile, shard, chunks, isEmpty }: SumTask, data: Uint8Array): void {
  if (isEmpty) for (const chunk of chunks) chunk.fill(0);
  accumulate(profile, shard, data, chunks);
}

/** Piscina's way to say: send `answer`, and transfer this memory with it. */
class Moved {
  readonly [transferableSymbol]: object;
  readonly [valueSymbol]: object;

  constructor(answer: Done, memory: ArrayBuffer[]) {
    this[transferableSymbol] = memory;
    this[valueSymbol] = answer;
  }
}
