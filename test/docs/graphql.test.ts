/** docs/graphql.md is true: every query and command of it runs in its order, and answers what stands below it. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { isDeepStrictEqual, promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { buildSchema } from "graphql";
import { between, errorsTable, rolesTable } from "../../scripts/tables.mjs";
import { ANSWERS } from "../../src/api/errors.js";
import { schemaText } from "../../src/api/graphql/schema.js"; // first: it brings what decorators need
import { GRAPHQL_CODES, UserErrorCode } from "../../src/api/graphql/errors.js";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";

const PAGE = await readFile("docs/graphql.md", "utf8");
/** The page is written as of a server that listens here. */
const ADDRESS = "http://127.0.0.1:8080";
const BLOCK = /```(graphql|sh|json|text)(?: (admin))?\n([\s\S]*?)```/g;

/** What is another each time: hashes, ids, tokens, cursors, times, addresses, names of buckets, the version. */
const VOLATILE =
  /^(?:(?=\S*\d)[\w-]{16,}={0,2}|\d{4}-\d\d-\d\dT[\d:.]+Z|https?:\/\/\S+|file:\/\/\S+|\/\S+|\d+\.\d+\.\d+\S*)$/;

/** Lists in the order of the buckets, where chance says which buckets they are: the page's order is as good as any. */
const ANY_ORDER: ReadonlySet<string> = new Set(["placement"]);

interface Example {
  readonly language: "graphql" | "sh";
  readonly isAdmin: boolean;
  readonly source: string;
  readonly answer: string;
}

const blocks = [...PAGE.matchAll(BLOCK)].map(([, language = "", admin, text = ""]) => {
  return { language, admin, text };
});
const examples: Example[] = blocks.flatMap(({ language, admin, text }, i) =>
  language === "graphql" || language === "sh"
    ? [{ language, isAdmin: admin !== undefined, source: text, answer: blocks[i + 1]?.text ?? "" }]
    : [],
);

describe("docs/graphql.md", () => {
  let server: TestServer;
  /** What the page says → what it is this time. */
  const here = new Map<string, string>();
  beforeAll(async () => {
    server = await startServer();
    here.set(ADDRESS, server.url);
  });
  afterAll(() => server.stop());

  test.each(examples.map(example => [firstLine(example.source), example] as const))(
    "%s",
    async (_, { language, isAdmin, source, answer: said }) => {
      const asked = translated(source, here);
      const answer = language === "sh" ? await shell(asked) : await ask(server, asked, isAdmin);
      if (!said.startsWith("{")) expect(answer.trim()).toBe(said.trim());
      else expect(learn(JSON.parse(answer), JSON.parse(said), here)).toEqual(JSON.parse(said));
    },
  );

  test("its tables are what the code says: run `npm run docs` when this fails", async () => {
    const errors = errorsTable(ANSWERS, Object.values(UserErrorCode), GRAPHQL_CODES);
    const roles = rolesTable(buildSchema(await schemaText()));
    expect(between(between(PAGE, "errors", errors), "roles", roles)).toBe(PAGE);
  });
});

function firstLine(source: string): string {
  const [first = "", second = ""] = source.trim().split("\n");
  return (/^(?:mutation )?\{$/.test(first) ? second : first).trim().slice(0, 70);
}

/** Longest first: a URL holds the address. */
function translated(source: string, here: ReadonlyMap<string, string>): string {
  const said = [...here.keys()].sort((a, b) => b.length - a.length);
  return said.reduce((text, value) => text.replaceAll(value, here.get(value) ?? value), source);
}

/** The answer with what is volatile replaced by what the page says in its place, which is remembered. */
function learn(answer: unknown, said: unknown, here: Map<string, string>): unknown {
  if (typeof answer === "string" && typeof said === "string") {
    if (answer === said || !VOLATILE.test(answer) || !VOLATILE.test(said)) return answer;
    here.set(said, answer);
    return said;
  }
  if (Array.isArray(answer)) {
    return answer.map((item, i) => learn(item, Array.isArray(said) ? said[i] : undefined, here));
  }
  if (typeof answer !== "object" || answer === null) return answer;
  const fields = said as Record<string, unknown> | null | undefined;
  return Object.fromEntries(
    Object.entries(answer).map(([key, value]) => {
      const inOrder = ANY_ORDER.has(key) ? reordered(value, fields?.[key]) : value;
      return [key, learn(inOrder, fields?.[key], here)];
    }),
  );
}

/** Each item in the place of the one on the page that it fits; all as they were if one fits none. */
function reordered(items: unknown, said: unknown): unknown {
  if (!Array.isArray(items) || !Array.isArray(said)) return items;
  const left: unknown[] = [...items];
  const found = said.map(want => {
    const at = left.findIndex(item => isDeepStrictEqual(learn(item, want, new Map()), want));
    return at === -1 ? undefined : left.splice(at, 1)[0];
  });
  return left.length === 0 && !found.includes(undefined) ? found : items;
}

async function ask(server: TestServer, query: string, isAdmin: boolean): Promise<string> {
  const answer = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(isAdmin && { Authorization: `Bearer ${server.adminToken}` }),
    },
    body: JSON.stringify({ query }),
  });
  return answer.text();
}

async function shell(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)("bash", ["-c", command]);
  return stdout;
}
