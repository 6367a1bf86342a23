/**
 * Builds the browser's pages into dist/console: each page an HTML file, everything it loads under /assets with a hash in
 * its name. Run by scripts/run.mjs when this folder has changed, and by the Dockerfile.
 */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  root: path("."),
  base: "/",
  logLevel: "warn",
  build: {
    outDir: path("../../dist/console"),
    emptyOutDir: true,
    target: "es2022",
    // What is inlined as data: would have to be allowed by every page's Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 5000, // Monaco, GraphiQL's editor, is this large
    rolldownOptions: {
      input: { graphiql: path("graphiql/index.html"), openapi: path("openapi/index.html") },
      // Says of hundreds of files that "use client" means nothing in a bundle: nothing here is rendered by a server.
      onLog: (level, log, report) => {
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") report(level, log);
      },
    },
  },
  worker: { format: "es" },
});
