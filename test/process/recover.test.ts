/** The built program, its database gone: one file with its password, and all of them with MAP_KEY. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "@jest/globals";
import { createDatabase } from "../support/database.js";
import { Installation, MAIN } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import { field, link, PASSWORD } from "../api/client.js";
import { base64, tus } from "../api/tus/client.js";
import { open, receive, upload } from "./http.js";

const MAP_KEY = randomBytes(32).toString("base64");

/** The command with its arguments, in an environment of nothing but `env`. */
function spawned(args: readonly string[], env: Record<string, string>) {
  const { PATH = "", HOME = "", NODE_COMPILE_CACHE = "" } = process.env;
  const all = { PATH, HOME, NODE_COMPILE_CACHE, ...env };
  return spawn(process.execPath, [MAIN, ...args], { env: all });
}

async function scattervault(args: readonly string[], env: Record<string, string>, input = "") {
  const child = spawned(args, env);
  child.stdin.end(input);
  const ended = new Promise<number | null>(resolve => child.once("close", resolve));
  const [out, complaints] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { exitCode: await ended, out, complaints };
}

async function bucketsOf(at: Installation): Promise<string> {
  const folder = join(at.dataDir, "buckets");
  return (await readdir(folder)).map(name => pathToFileURL(join(folder, name)).href).join(",");
}

async function uploadByTus(url: string, plain: Uint8Array): Promise<string> {
  const headers = { "Upload-Length": String(plain.length), "Upload-Password": base64(PASSWORD) };
  const type = { "Content-Type": "application/offset+octet-stream" };
  const created = await tus("POST", `${url}/files`, { ...headers, ...type }, plain);
  return String(created.headers["file-hash"]);
}

describe("when the database is gone", () => {
  test("each file comes back with its hash and password alone", async () => {
    await using at = await Installation.make();
    const plain = bytesOf(300_000, 1);
    const server = await at.start({ MAP_KEY });
    const { hash } = await upload(server.url, plain, field("chunk_size", "4096"));
    await server.kill("SIGTERM");
    const out = join(at.dataDir, "out");
    const args = ["recover", String(hash), "--buckets", await bucketsOf(at), "--out"];

    const password = { SCATTERVAULT_PASSWORD: PASSWORD };
    const recovered = await scattervault([...args, out], password);
    expect([recovered.exitCode, recovered.complaints]).toEqual([0, ""]);
    expect(JSON.parse(recovered.out)).toMatchObject({ hash, name: "a.txt", plainBytes: plain.length });
    expect(Buffer.compare(await readFile(out), plain)).toBe(0);

    expect((await scattervault([...args, out], password)).exitCode).toBe(1); // and what was there is as it was
    expect(Buffer.compare(await readFile(out), plain)).toBe(0);

    // By a reader so slow that the command is ahead of it.
    const { stdout } = spawned([...args, "-"], password);
    await sleep(1000);
    const read: Buffer[] = [];
    for await (const piece of stdout) {
      read.push(piece);
      await sleep(10);
    }
    expect(Buffer.compare(Buffer.concat(read), plain)).toBe(0);

    const file = join(at.dataDir, "password");
    await writeFile(file, `${PASSWORD}\n`);
    for (const [source, input] of [
      [["--password-file", file], ""],
      [["--password-stdin"], `${PASSWORD}\n`],
    ] as const) {
      await rm(out);
      expect(await scattervault([...args, out, ...source], {}, input)).toMatchObject({ exitCode: 0 });
      expect(Buffer.compare(await readFile(out), plain)).toBe(0);
    }

    await rm(out);
    const wrong = await scattervault([...args, out], { SCATTERVAULT_PASSWORD: "wrong horse" });
    expect([wrong.exitCode, wrong.complaints]).toEqual([1, expect.stringContaining("WRONG_PASSWORD")]);
    expect(await scattervault([...args, out], {})).toMatchObject({ exitCode: 2 });
    await expect(readFile(out)).rejects.toMatchObject({ code: "ENOENT" });
  }, 300_000);

  test("all files come back with MAP_KEY, and open with their passwords", async () => {
    await using at = await Installation.make();
    const server = await at.start({ MAP_KEY });
    const stored = [
      await upload(server.url, bytesOf(300_000, 1), field("chunk_size", "4096")),
      await upload(server.url, new Uint8Array()),
      { plain: bytesOf(50_000, 2), hash: await uploadByTus(server.url, bytesOf(50_000, 2)) },
    ];
    await server.kill("SIGTERM");

    const fresh = await createDatabase();
    try {
      const env = { MAP_KEY, DATABASE_URL: fresh.url, DATA_DIR: at.dataDir, LOG_LEVEL: "error" };
      expect(await scattervault(["recover", "--all"], { ...env, MAP_KEY: "" })).toMatchObject({
        exitCode: 1,
      });
      const recovered = await scattervault(["recover", "--all"], env);
      expect([recovered.exitCode, recovered.complaints]).toEqual([0, ""]);
      const report = { files: 3, damaged: [], unreadable: [], missing: { chunks: 0, files: 0 } };
      expect(JSON.parse(recovered.out)).toMatchObject(report);
      expect(await scattervault(["recover", "--all"], env)).toMatchObject({ exitCode: 1 });

      const again = await at.start({ MAP_KEY, DATABASE_URL: fresh.url });
      for (const { hash, plain } of stored) {
        expect(Buffer.compare(await open(again.url, String(hash)), plain)).toBe(0);
      }
      await expect(link(again.url, String(stored[0]?.hash), { password: "wrong horse" })).rejects.toThrow(
        "WRONG_PASSWORD",
      );
      expect((await receive(`${again.url}/healthz`)).status).toBe(200);
      await again.kill("SIGTERM");
    } finally {
      await fresh.drop();
    }
  }, 300_000);
});
