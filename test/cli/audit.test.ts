/** `scattervault audit` as an operator runs it, and the verifier of docs/audit.md as a stranger does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import pg from "pg";
import { AuditEventsDocument } from "../generated/graphql.js";
import { ask } from "../api/graphql/client.js";
import { link, retrieve, store } from "../api/client.js";
import { MAIN } from "../support/process.js";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  for (const content of ["a", "b"]) {
    const hash = await store(server.url, content);
    await (await fetch(await link(server.url, hash))).text();
    await retrieve(server.url, hash, { password: "not the password" });
  }
}, 180_000);
afterAll(() => server.stop());

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
}

async function run(command: string, args: readonly string[], input = ""): Promise<Ended> {
  const env = { PATH: process.env["PATH"] ?? "", DATABASE_URL: server.databaseUrl };
  const child = spawn(command, args, { env, stdio: ["pipe", "pipe", "ignore"] });
  const parts: Buffer[] = [];
  child.stdout.on("data", part => parts.push(part));
  child.stdin.on("error", () => {}); // a verifier that has found what is wrong reads no further
  child.stdin.end(input);
  const [exitCode] = await once(child, "close");
  return { exitCode, stdout: Buffer.concat(parts).toString().trim() };
}

const audit = (...args: readonly string[]) => run(process.execPath, [MAIN, "audit", ...args]);

async function verifier(): Promise<string> {
  const page = await readFile("docs/audit.md", "utf8");
  return /```python\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
}

test("verify prints the head and ends with 0; the head is the one that GraphQL shows, and can be expected later", async () => {
  const admin = { Authorization: `Bearer ${server.adminToken}` };
  const { data } = await ask(server.url, AuditEventsDocument, { first: 1 }, admin);
  const head = data?.auditEvents.nodes[0]?.entry ?? "";
  expect(await audit("verify")).toEqual({ exitCode: 0, stdout: JSON.stringify({ isWhole: true, head }) });
  expect(head).toMatch(/^10:[0-9a-f]{64}$/);
  await store(server.url, "more");
  expect((await audit("verify", "--expect", head)).exitCode).toBe(0);
  const other = `10:${"0".repeat(64)}`;
  expect(await audit("verify", "--expect", other)).toMatchObject({
    exitCode: 1,
    stdout: expect.stringContaining('"seq":10'),
  });
  const later = `99:${"0".repeat(64)}`;
  expect((await audit("verify", "--expect", later)).stdout).toContain(
    "ends at entry 12, and it had entry 99",
  );
}, 180_000);

test("a stranger verifies an export with the Python of docs/audit.md, and finds what was altered in it", async () => {
  const { stdout: exported, exitCode } = await audit("export");
  expect(exitCode).toBe(0);
  const { stdout } = await audit("verify");
  const python = ["-c", await verifier()];
  const { head } = JSON.parse(stdout) as { head: string };
  expect(await run("python3", python, `${exported}\n`)).toEqual({ exitCode: 0, stdout: head });
  expect((await run("python3", python, exported.replace('"count":1', '"count":2'))).exitCode).toBe(1);
  expect((await run("python3", python, exported.split("\n").toSpliced(3, 1).join("\n"))).exitCode).toBe(1);
}, 180_000);

test("an archived part is told by --from; without, what is missing is missing", async () => {
  const lines = (await audit("export")).stdout.split("\n").map(line => JSON.parse(line));
  const { seq, hash } = lines[3];
  const client = new pg.Client(server.databaseUrl);
  await client.connect();
  await client.query(`begin; alter table audit_events disable trigger append_only; delete from audit_events where seq <= ${seq};
    alter table audit_events enable trigger append_only; commit`);
  await client.end();
  expect(await audit("verify")).toEqual({
    exitCode: 1,
    stdout: '{"isWhole":false,"seq":1,"problem":"entry 1 is missing: entry 5 comes after entry 0"}',
  });
  expect((await audit("verify", "--from", `${seq}:${hash}`)).exitCode).toBe(0);
  expect((await audit("export", "--from", `${seq}:${hash}`)).stdout.split("\n")).toHaveLength(
    lines.length - 4,
  );
}, 180_000);

test("what is no head is refused", async () => {
  expect((await audit("verify", "--expect", "12")).exitCode).toBe(1);
});
