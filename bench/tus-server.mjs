/** The thing to compare with: @tus/server over @tus/file-store as their README sets them up, nothing else. */
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [, , directory, port] = process.argv;

const server = new Server({ path: "/files", datastore: new FileStore({ directory }) });
server.listen({ host: "127.0.0.1", port: Number(port) });
