/** A network that breaks: a TCP proxy that cuts, stalls and delays what flows from client to server. Seeded. */
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

/** What happens to one connection. */
export interface Fate {
  /** Bytes from the client after which the connection is cut; Infinity: never. */
  readonly cutAfterBytes: number;
  /** A reset takes with it what the server has not read yet; an end does not. */
  readonly cutBy: "reset" | "end";
  /** The cut comes so long after the last byte that passed, in milliseconds. */
  readonly lingerMs: number;
  /** Bytes from the client after which nothing passes any more, with both sides left open; Infinity: never. */
  readonly stallAfterBytes: number;
  /** Each piece is held back this long, in milliseconds. */
  readonly delayMs: number;
}

export const STEADY: Fate = {
  cutAfterBytes: Number.POSITIVE_INFINITY,
  cutBy: "reset",
  lingerMs: 0,
  stallAfterBytes: Number.POSITIVE_INFINITY,
  delayMs: 0,
};

export class FlakyProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Bytes that reached the server since the start. */
  passedBytes = 0;
  cuts = 0;
  url = "";

  private constructor(
    private target: URL,
    private readonly fateOf: () => Fate,
  ) {
    this.#server = createServer(client => this.#join(client));
  }

  static async open(target: string, fateOf: () => Fate): Promise<FlakyProxy> {
    const proxy = new FlakyProxy(new URL(target), fateOf);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    proxy.url = `http://127.0.0.1:${(proxy.#server.address() as AddressInfo).port}`;
    return proxy;
  }

  /** Sends new connections to another server. */
  pointTo(target: string): void {
    this.target = new URL(target);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(client: Socket): void {
    const fate = this.fateOf();
    const server = connect(Number(this.target.port), this.target.hostname);
    let seenBytes = 0;
    const cut = () => {
      this.cuts++;
      client.resetAndDestroy();
      if (fate.cutBy === "reset") server.resetAndDestroy();
      else server.end();
    };
    client.on("data", data => {
      client.pause();
      setTimeout(() => {
        if (server.destroyed) return;
        const room = Math.min(fate.cutAfterBytes, fate.stallAfterBytes) - seenBytes;
        const passed = data.subarray(0, Math.max(0, room));
        seenBytes += data.length;
        this.passedBytes += passed.length;
        const isCut = seenBytes > fate.cutAfterBytes;
        // The server gets what came before the cut: what it does with it is what the test is about.
        const end = () => void (isCut && setTimeout(cut, fate.lingerMs));
        if (passed.length > 0) server.write(passed, end);
        else end();
        if (!isCut && seenBytes <= fate.stallAfterBytes) client.resume();
      }, fate.delayMs);
    });
    client.on("end", () => server.end());
    server.pipe(client);
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    }
    client.on("close", () => server.end());
    server.on("close", () => client.destroy());
  }
}

/** mulberry32 (Tommy Ettinger): the same numbers for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
