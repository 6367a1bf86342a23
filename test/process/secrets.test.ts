/** Nothing rests in clear: canaries go through every door, and then everything that rests is searched for them. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { CreateDownloadLinkDocument, UnlockFileDocument, UploadFileDocument } from "../generated/graphql.js";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { FORM_TYPE, bodyOf, field, formBody, link, postForm, rawClient, retrieve } from "../api/client.js";
import { ask, post, postFile } from "../api/graphql/client.js";
import { query } from "./remains.js";

/** What only the client may know; hex, so that it is the same text in every encoding but its own. */
const canary = () => randomBytes(12).toString("hex");
const rest = { name: canary(), type: canary(), text: canary(), password: canary(), wrong: canary() };
const graphql = { name: canary(), type: canary(), text: canary(), password: canary(), wrong: canary() };
const cut = { name: canary(), type: canary(), text: canary(), password: canary() };
const tokens: string[] = [];

let at: Installation;
let server: ServerProcess;
beforeAll(async () => {
  at = await Installation.make();
  const tmp = join(at.dataDir, "tmp");
  await mkdir(tmp);
  server = await at.start({ TMPDIR: tmp, LOG_LEVEL: "debug" });
  await throughRest();
  await throughGraphql();
  await throughMistakes();
}, 180_000);
afterAll(() => at.remove());

const content = (text: string) => Buffer.from(`${text} `.repeat(20_000));
const filePart = ({ name, type, text }: typeof cut) => ({
  name: "file",
  value: content(text),
  filename: `${name}.txt`,
  type: `text/${type}`,
});

async function throughRest(): Promise<void> {
  const form = [filePart(rest), field("chunk_size", "4096"), field("password", rest.password)];
  const { hash } = (await bodyOf(await postForm(server.url, form))) as { hash: string };
  const from = await link(server.url, hash, { password: rest.password });
  tokens.push(new URL(from).pathname.slice("/d/".length));
  const file = await fetch(from, { headers: { Range: "bytes=0-100000" } });
  expect(file.headers.get("content-disposition")).toContain(rest.name);
  expect(await file.text()).toContain(rest.text);
  await retrieve(server.url, hash, { password: rest.wrong });
  const basic = Buffer.from(`me:${rest.password}`).toString("base64");
  const again = await fetch(`${server.url}/api/retrieve/${hash}`, {
    headers: { Authorization: `Basic ${basic}` },
  });
  expect(again.status).toBe(200);
}

async function throughGraphql(): Promise<void> {
  const { name, type, text, password } = graphql;
  const file = new File([content(text)], name, { type: `text/${type}` });
  const { data } = await postFile(server.url, UploadFileDocument, { password }, file);
  const hash = data?.uploadFile.file?.hash ?? "";
  const unlocked = await ask(server.url, UnlockFileDocument, { input: { hash, password } });
  expect(unlocked.data?.unlockFile.file?.name).toBe(name);
  await ask(server.url, UnlockFileDocument, { input: { hash, password: graphql.wrong } });
  const made = await ask(server.url, CreateDownloadLinkDocument, { input: { hash, password } });
  const url = String(made.data?.createDownloadLink.url);
  tokens.push(new URL(url).pathname.slice("/d/".length));
  expect(await (await fetch(url)).text()).toContain(text);
}

/** Where secrets are quoted most easily: in what is said of requests that fail. */
async function throughMistakes(): Promise<void> {
  const { url } = server;
  const [token = ""] = tokens;
  const { password } = rest;
  const json = { "Content-Type": "application/json" };
  await fetch(`${url}/d/${token}/?password=${password}`);
  await fetch(`${url}/D/${token}`);
  await fetch(`${url}/d/${token}`, { method: "PUT", body: rest.text });
  await fetch(`${url}/api/retrieve/nothing?password=${password}`);
  await fetch(`${url}/api/retrieve/nothing`, {
    method: "POST",
    headers: json,
    body: `{"password":"${password}"`,
  });
  await fetch(`${url}/api/retrieve/nothing`, { method: "POST", headers: json, body: `"${password}"` });
  await fetch(`${url}/graphql`, { method: "POST", headers: json, body: `{"query":"${password}` });
  await post(url, { query: `mutation { unlockFile(input: {hash: 1, password: "${password}"}) { x } }` });
  await post(url, {
    query: UnlockFileDocument.toString(),
    variables: { input: { password, nothing: password } },
  });
  await postForm(url, [filePart(cut), field("chunk_size", "1"), field("password", cut.password)]);
  await postForm(url, [filePart(cut), field(cut.password, cut.password)]);
  const form = formBody([field("password", cut.password), field("chunk_size", "4096"), filePart(cut)]);
  const client = await rawClient(url);
  client.socket.write(
    `POST /api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: ${FORM_TYPE}\r\nContent-Length: ${form.length}\r\n\r\n`,
  );
  client.socket.write(form.subarray(0, form.length - 1000));
  client.socket.end();
  await client.closed(20_000);
}

/** Every canary, as it is and as base64 would have it. */
function forbidden(): string[] {
  const texts = [rest, graphql, cut].flatMap(secrets => Object.values(secrets));
  return [...texts, ...tokens, ...texts.map(text => Buffer.from(text).toString("base64").replace(/=+$/, ""))];
}

/** Of bytes: bytea is shown as hexadecimal digits. */
function forbiddenInHex(): string[] {
  const rawTokens = tokens.map(token => Buffer.from(token, "base64url").toString("hex"));
  return [...forbidden().map(text => Buffer.from(text).toString("hex")), ...rawTokens];
}

async function filesWith(folder: string, needles: readonly string[]): Promise<string> {
  const list = join(at.dataDir, "needles");
  await writeFile(list, `${needles.join("\n")}\n`);
  for (let tries = 1; ; tries++) {
    const search = promisify(execFile)("grep", ["-raslF", "--exclude=needles", "-f", list, folder]);
    const { code, stdout } = await search.then(
      found => ({ code: 0, ...found }),
      (error: { code: number; stdout: string }) => error,
    );
    if (code === 0 || code === 1) return stdout; // found, or nothing
    // Something could not be read: PostgreSQL removes files of its own while they are searched.
    if (tries === 30 || stdout !== "") return `grep ended with ${code}: ${stdout}`;
  }
}

test("the search finds what is there", async () => {
  await writeFile(join(at.dataDir, "bait"), `xx${rest.text}xx`);
  expect(await filesWith(at.dataDir, forbidden())).toBe(`${join(at.dataDir, "bait")}\n`);
  await writeFile(join(at.dataDir, "bait"), "");
});

test("no file under DATA_DIR has any of it", async () => {
  expect(tokens.filter(token => /^[\w-]{43}$/.test(token))).toHaveLength(2);
  expect(await filesWith(at.dataDir, forbidden())).toBe("");
});

test("no row of any table has any of it, as text or as bytes", async () => {
  const tables = await query<{ name: string }>(
    at,
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  expect(tables.map(({ name }) => name)).toEqual(expect.arrayContaining(["public.files", "public.grants"]));
  let rowCount = 0;
  for (const { name } of tables) {
    for (const { row } of await query<{ row: string }>(at, `select t::text as row from ${name} t`)) {
      rowCount++;
      const lower = row.toLowerCase();
      const found = [
        ...forbidden().filter(text => row.includes(text)),
        ...forbiddenInHex().filter(text => lower.includes(text)),
      ];
      expect({ name, found }).toEqual({ name, found: [] });
    }
  }
  expect(rowCount).toBeGreaterThan(40); // grants, files, uploads, and each chunk
});

test("no file of PostgreSQL has any of it, its log of what was written included", async () => {
  const [row] = await query<{ folder: string }>(at, "select current_setting('data_directory') as folder");
  await query(at, "checkpoint");
  expect(await filesWith(row?.folder ?? "", forbidden())).toBe("");
}, 180_000);

test("nothing that the server printed has any of it", () => {
  expect(server.output.split("\n").length).toBeGreaterThan(15);
  for (const text of forbidden()) expect(server.output).not.toContain(text);
});
