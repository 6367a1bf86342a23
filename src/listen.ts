/** The ports that the process listens on. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import type { Api } from "./api/server.js";
import type { Config } from "./config.js";

/** Resolves with the address once requests are answered. */
export async function listen({ server }: Api, { HOST, PORT }: Config): Promise<string> {
  const { promise, resolve: done, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen(PORT, HOST, done);
  await promise;
  const { address, port, family } = server.address() as AddressInfo;
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}

/** Serves the metrics alone, to all who reach the port. Resolves with what ends it. */
export async function listenForMetrics(
  registry: Registry,
  { HOST }: Config,
  port: number,
): Promise<() => Promise<void>> {
  const server = createServer(async (_request, response) => {
    response.setHeader("Content-Type", registry.contentType).end(await registry.metrics());
  });
  const { promise, resolve: done, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen(port, HOST, done);
  await promise;
  return async () => void server.close();
}
