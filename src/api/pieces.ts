/**
 * The bytes of a stream, piece by piece as they come. Node's own iterator of a stream takes about ten turns of the microtask
 * queue for each piece, of 64 KiB at most; at hundreds of megabytes a second that is a good part of the event loop's time.
 */
import type { Readable } from "node:stream";

interface PiecesOptions {
  /** What the iteration throws where the stream breaks off; undefined: it ends like one that is whole. */
  readonly broken: (error: unknown) => Error | undefined;
  /** Is told of each piece just before the reader has it. */
  readonly onPiece?: (piece: Uint8Array) => void;
  /** True: a reader who stops early leaves what is still in the stream to others, paused. Else it is destroyed. */
  readonly staysOpen?: boolean;
}

type Step = IteratorResult<Uint8Array, undefined>;

const END: Step = { done: true, value: undefined };

/**
 * For one reader, who asks for one piece at a time. What nobody has asked for yet lies in the stream, where others see it: how
 * slow a sender is, say, is measured by whether there is anything. A stream that is destroyed takes nothing back.
 */
export class Pieces implements AsyncIterableIterator<Uint8Array, undefined> {
  #isAttached = false;
  /** What a destroyed stream gave before anybody asked. */
  readonly #left: Uint8Array[] = [];
  #asked: PromiseWithResolvers<Step> | undefined;
  #end: { readonly isBroken: boolean; readonly error?: Error | undefined } | undefined;

  constructor(
    private readonly stream: Readable,
    private readonly options: PiecesOptions,
  ) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (!this.#isAttached) this.#attach();
    this.#asked = Promise.withResolvers();
    const { promise } = this.#asked;
    if (this.#end) this.#giveLast();
    else if (!this.stream.destroyed) this.stream.resume();
    return promise;
  }

  async return(): Promise<Step> {
    const { stream } = this;
    stream.off("data", this.#onData);
    if (!this.options.staysOpen) stream.destroy();
    else if (stream.listenerCount("data") === 0) stream.pause(); // else somebody reads on already
    return END;
  }

  #attach(): void {
    this.#isAttached = true;
    const { stream } = this;
    if (stream.readableEnded) this.#onEnd();
    else if (stream.destroyed) this.#onBroken(stream.errored);
    stream.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onBroken);
    // Of what ended or broke nothing is told a second time.
    stream.on("close", () => this.#onBroken(new Error("closed before its end")));
  }

  readonly #onData = (piece: Uint8Array): void => {
    if (this.#asked) {
      this.#give(piece);
    } else {
      this.stream.pause(); // before the next: a stream that flows would give it back at once
      if (this.stream.destroyed) this.#left.push(piece);
      else this.stream.unshift(piece);
    }
  };

  readonly #onEnd = (): void => {
    this.#end ??= { isBroken: false };
    this.#giveLast();
  };

  readonly #onBroken = (error: unknown): void => {
    this.#end ??= { isBroken: true, error: this.options.broken(error) };
    this.#giveLast();
  };

  #give(piece: Uint8Array): void {
    this.options.onPiece?.(piece);
    this.#asked?.resolve({ done: false, value: piece });
    this.#asked = undefined;
  }

  /** Once the stream is over: what it had when it broke, and then its end. */
  #giveLast(): void {
    if (!this.#asked) return;
    this.stream.off("data", this.#onData); // what is read below would come there too
    const rest: Uint8Array | null = this.#left.shift() ?? (this.#end?.isBroken ? this.stream.read() : null);
    if (rest) return void this.#give(rest);
    if (this.#end?.error) this.#asked.reject(this.#end.error);
    else this.#asked.resolve(END);
    this.#asked = undefined;
  }
}
