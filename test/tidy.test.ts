/**
 * Keeps the tree as src/README.md draws it. Reads sources as text: no compiler API, so it outlives compilers.
 */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "@jest/globals";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

/** What may be imported by the files of a room. `rooms` names rooms or single files; `packages` may end in `*`. */
const ROOMS: Record<string, { rooms: string[]; packages: string[] }> = {
  format: { rooms: [], packages: ["node:crypto"] },
  core: {
    rooms: ["format"],
    packages: ["node:crypto", "node:events", "node:stream", "node:timers/promises"],
  },
  workers: { rooms: ["core", "format"], packages: ["node:crypto", "piscina"] },
  buckets: {
    rooms: ["core"],
    packages: [
      "node:*",
      "@google-cloud/*",
      "google-auth-library",
      "@node-rs/crc32",
      "p-*",
      "prom-client",
      "zod",
    ],
  },
  database: {
    rooms: ["core", "format"],
    packages: ["node:*", "@mikro-orm/*", "kysely", "pg"],
  },
  identity: { rooms: ["core"], packages: ["jose", "zod"] },
  api: { rooms: ["core", "api/rest", "api/tus", "api/graphql"], packages: ["*"] },
  "api/tus": { rooms: ["core", "api"], packages: ["@tus/*", "express", "node:*"] },
  "api/rest": { rooms: ["core", "format", "api"], packages: ["*"] },
  "api/graphql": { rooms: ["core", "format", "api"], packages: ["*"] },
  jobs: { rooms: ["core"], packages: ["graphile-worker", "node:timers/promises", "pg"] },
  cli: { rooms: ["core"], packages: ["cli-progress", "commander", "node:*"] },
  console: { rooms: [], packages: ["graphiql", "node:url", "react", "react-dom", "swagger-ui-dist", "vite"] },
};
/** Only these files of a room are open to the others named. */
const OPEN_FILES: Record<string, string[]> = {
  "database → core": [
    "audit",
    "audit-chain",
    "catalogue",
    "errors",
    "grant-ports",
    "health-ports",
    "manifest-ports",
    "model",
    "moves",
    "ports",
    "rebuild-ports",
    "sweep-ports",
  ],
  "buckets → core": ["errors", "model", "ports"],
  "workers → core": ["ports", "sealing"],
  "identity → core": ["errors", "model", "ports"],
  "database → format": ["id", "layout"],
};
/** The program, its worker, the browser's pages and what bundles them; and the adapter that tests run on. */
const ENTRIES = [
  "src/main.ts",
  "src/workers/seal-worker.ts",
  "src/workers/argon-worker.ts",
  "src/console/vite.config.ts",
  "src/console/graphiql/main.tsx",
  "src/console/openapi/main.ts",
  "src/console/openapi/swagger-ui.d.ts",
  "src/buckets/memory.ts",
];
const IMPORT = /^(?:import|export) (?:(type) )?(?:[\w*{][^'";]* from )?["']([^"']+)["'];/gm;

const sources = filesUnder("src").filter(file => /\.tsx?$/.test(file));

describe("the tree", () => {
  test("rooms import only what the table allows", () => {
    expect(sources.flatMap(importViolations)).toEqual([]);
  });

  test("has no import cycles", () => {
    expect(cycles(new Map(sources.map(file => [file, valueImports(file)])))).toEqual([]);
  });

  test("has no orphan file: each is reached from what runs by itself, or is the adapter that tests run on", () => {
    const reached = new Set<string>();
    const visit = (file: string) => {
      if (reached.has(file)) return;
      reached.add(file);
      for (const { target } of importsOf(file)) if (target.startsWith(".")) visit(resolved(file, target));
    };
    for (const entry of ENTRIES) visit(entry);
    expect(sources.filter(file => !reached.has(file))).toEqual([]);
  });

  test("has no file of over 300 lines and no folder for leftovers", () => {
    const long = [
      ...sources,
      ...filesUnder("test").filter(file => file.endsWith(".ts") && !file.includes("/generated/")),
    ].filter(file => text(file).split("\n").length > (file.startsWith("src") ? 320 : 420));
    expect(long).toEqual([]);
    expect(sources.filter(file => /\/(utils?|helpers?|common|services|misc)(\/|\.ts$)/.test(file))).toEqual(
      [],
    );
  });

  test("keeps decorators in api/graphql and process.env in main.ts", () => {
    expect(
      sources.filter(file => /^\s*@[A-Z]\w+\(/m.test(text(file)) && !file.startsWith("src/api/graphql/")),
    ).toEqual([]);
    expect(sources.filter(file => /process\.env/.test(code(file)) && file !== "src/main.ts")).toEqual([]);
  });

  test("has no focused or skipped test without a reason beside it", () => {
    const tests = filesUnder("test").filter(
      file => file.endsWith(".test.ts") && file !== "test/tidy.test.ts",
    );
    expect(tests.filter(file => /\b(?:test|it|describe)\.only\b/.test(text(file)))).toEqual([]);
  });

  test("records no registry host in the lock file", () => {
    const hosts = new Set(
      [...text("package-lock.json").matchAll(/"resolved": "https?:\/\/([^/"]+)/g)].map(([, host]) => host),
    );
    expect([...hosts].filter(host => host !== "registry.npmjs.org")).toEqual([]);
  });
});

describe("documents", () => {
  const documents = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    ...filesUnder("docs"),
    ...filesUnder("src"),
  ].filter(file => file.endsWith(".md"));

  test.each(documents)("%s links only to files that exist", document => {
    const broken = [...text(document).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, target]) => target ?? "")
      .filter(target => !/^[a-z]+:/.test(target))
      .filter(target => !exists(join(dirname(document), target)));
    expect(broken).toEqual([]);
  });
});

function importViolations(file: string): string[] {
  const room = roomOf(file);
  const rules = ROOMS[room];
  if (!rules) return isRoot(file) ? [] : [`${file}: no room of the table`];
  return importsOf(file).flatMap(({ target }) => {
    if (!target.startsWith(".")) {
      return rules.packages.some(allowed => matches(allowed, target))
        ? []
        : [`${file}: ${room} may not import ${target}`];
    }
    const to = resolved(file, target);
    const toRoom = roomOf(to);
    if (toRoom === room) return [];
    if (!rules.rooms.includes(toRoom)) return [`${file}: ${room} may not import ${to}`];
    const open = OPEN_FILES[`${room} → ${toRoom}`];
    const isOpen = !open || open.some(name => to === `src/${toRoom}/${name}.ts`);
    return isOpen ? [] : [`${file}: of ${toRoom}, ${room} may import only ${open.join(", ")}`];
  });
}

function matches(allowed: string, target: string): boolean {
  return allowed.endsWith("*")
    ? target.startsWith(allowed.slice(0, -1))
    : target === allowed || target.startsWith(`${allowed}/`);
}

function isRoot(file: string): boolean {
  return dirname(file) === "src";
}

function roomOf(file: string): string {
  const parts = relative("src", dirname(file)).split("/");
  const two = parts.slice(0, 2).join("/");
  return two in ROOMS ? two : (parts[0] ?? "");
}

function importsOf(file: string): { target: string; isType: boolean }[] {
  const lazy = [...text(file).matchAll(/ import\("([^"]+)"\)/g)].map(([, target]) => ({
    target: target ?? "",
    isType: false,
  }));
  const eager = [...text(file).matchAll(IMPORT)].map(([, type, target]) => ({
    target: target ?? "",
    isType: type !== undefined,
  }));
  return [...eager, ...lazy];
}

function valueImports(file: string): string[] {
  return importsOf(file)
    .filter(({ target, isType }) => !isType && target.startsWith("."))
    .map(({ target }) => resolved(file, target));
}

function resolved(from: string, target: string): string {
  return relative(ROOT, resolve(ROOT, dirname(from), target)).replace(/\.js$/, ".ts");
}

function cycles(graph: Map<string, string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: string[]) => {
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file].join(" → "));
    if (path.includes(file) || done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

function filesUnder(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap(entry =>
    entry.isDirectory() ? filesUnder(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

function text(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** The file without its comments. */
function code(file: string): string {
  return text(file).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
}

function exists(file: string): boolean {
  return statSync(join(ROOT, file), { throwIfNoEntry: false }) !== undefined;
}
