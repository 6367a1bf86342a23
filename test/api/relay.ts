/** A TCP port in front of the database's socket, so that a test can take the database away. */
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { join } from "node:path";

export interface Relay {
  readonly url: string;
  /** Cuts every connection, and lets no new one in. */
  cut(): void;
}

/** `databaseUrl` names a folder with a socket as its host, as the embedded database's does. */
export async function relayTo(databaseUrl: string): Promise<Relay> {
  const { hostname, port, searchParams, pathname, username } = new URL(databaseUrl);
  const socketPort = port || searchParams.get("port") || "5432";
  const socketPath = join(decodeURIComponent(hostname), `.s.PGSQL.${socketPort}`);
  const sockets = new Set<Socket>();
  const server = createServer(client => {
    const upstream = connect(socketPath);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => other.destroy());
      socket.pipe(other);
    }
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const { port: own } = server.address() as AddressInfo;
  return {
    url: `postgres://${username}@127.0.0.1:${own}${pathname}`,
    cut() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
