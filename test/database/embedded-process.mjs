/** A process of its own that uses the embedded database: prints its URL, and leaves when its input ends. */
import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

// Node strips the types itself; only `x.js` has to be told that it is `x.ts`.
registerHooks({
  resolve(specifier, context, next) {
    const source = new URL(specifier.replace(/js$/, "ts"), context.parentURL);
    const isOurs = specifier.startsWith(".") && existsSync(fileURLToPath(source));
    return next(isOurs ? source.href : specifier, context);
  },
});

const [dataDir, umask = "022"] = process.argv.slice(2);
process.umask(Number.parseInt(umask, 8));
const log = { info() {}, warn() {}, error() {} };
const { startEmbedded } = await import("../../src/database/embedded.ts");
const server = await startEmbedded({ dataDir, log });
console.log(server.url);
for await (const _ of process.stdin);
await server.stop();
