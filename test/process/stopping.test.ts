/** How the process ends: SIGTERM, a second one, an environment or a database that it cannot start with. */
import { get, request } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { until } from "../support/until.js";
import { bytesOf } from "../support/vault.js";
import { FORM_TYPE, PASSWORD, field, file, formBody, link, rawClient, store } from "../api/client.js";
import { begin, download, head, patch } from "../chaos/client.js";
import { open } from "./http.js";
import { NOTHING_BUT_FILES, letTimePass, query, remains, sweep } from "./remains.js";

/** More than sockets hold on both sides, so that the server has to go on while it drains. */
const LARGE = Buffer.from(bytesOf(30_000_000, 1));

let at: Installation;
beforeEach(async () => {
  at = await Installation.make();
});
afterEach(() => at.remove());

/** A download whose client has read its headers only; `rest` reads on. */
async function begunDownload(url: string) {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  get(await link(url, await store(url, LARGE)), { agent: false }, resolve).on("error", reject);
  const response = await promise;
  return {
    async rest(): Promise<Buffer> {
      const pieces: Buffer[] = [];
      for await (const piece of response) pieces.push(piece);
      return Buffer.concat(pieces);
    },
  };
}

/** An upload of which half has been sent. */
function begunUpload(url: string) {
  const form = formBody([field("password", PASSWORD), file(LARGE)]);
  const sending = request(`${url}/api/upload`, {
    method: "POST",
    headers: { "Content-Type": FORM_TYPE, "Content-Length": form.length },
    agent: false,
  });
  const { promise: answer, resolve, reject } = Promise.withResolvers<{ status: number; hash: string }>();
  answer.catch(() => {});
  sending.on("error", reject).on("response", async response => {
    let body = "";
    for await (const piece of response) body += piece;
    resolve({ status: response.statusCode ?? 0, hash: JSON.parse(body).hash });
  });
  sending.write(form.subarray(0, LARGE.length / 2));
  return { answer, sendRest: () => sending.end(form.subarray(LARGE.length / 2)) };
}

/** Until the server has begun to take the upload. */
function begun(): Promise<void> {
  return until(async () => (await query(at, "select 1 from uploads where stage = 'receiving'")).length > 0);
}

async function refusesConnections(url: string): Promise<boolean> {
  for (let i = 0; i < 600; i++) {
    const isTaken = await new Promise<boolean>(resolve => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1");
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (!isTaken) return true;
    await sleep(50);
  }
  return false;
}

describe("SIGTERM", () => {
  test("lets a download and an upload under way end well, and then ends the process with 0", async () => {
    const server = await at.start({ DRAIN_SECONDS: "60" });
    const download = await begunDownload(server.url);
    const upload = begunUpload(server.url);
    // Its request has begun but not ended, so that its connection outlives the beginning of the drain.
    const asking = await rawClient(server.url);
    asking.socket.write("GET /readyz HTTP/1.1\r\nHost: x\r\n");
    await begun();
    await fetch(`${server.url}/healthz`); // whoever is asked later has read what came before

    server.signal("SIGTERM");
    expect(await refusesConnections(server.url)).toBe(true);
    asking.socket.write("\r\n");
    expect(await asking.answered(30_000)).toMatch(/^HTTP\/1\.1 503 [\s\S]*Connection: close/);
    await sleep(1000);
    expect(server.hasEnded).toBe(false);
    upload.sendRest();
    const { status, hash } = await upload.answer;
    expect(status).toBe(201);
    expect(Buffer.compare(await download.rest(), LARGE)).toBe(0);
    expect(await server.exited()).toBe(0);

    const next = await at.start();
    expect(Buffer.compare(await open(next.url, hash), LARGE)).toBe(0);
  }, 180_000);

  test("ends an idle server at once", async () => {
    const server = await at.start({ DRAIN_SECONDS: "3600" });
    await fetch(`${server.url}/healthz`); // leaves an open connection behind
    expect(await server.kill("SIGTERM")).toBe(0);
  }, 180_000);

  test("after DRAIN_SECONDS cuts what is still under way, and leaves nothing of it once its upload has expired", async () => {
    const server = await at.start({ DRAIN_SECONDS: "1" });
    const upload = begunUpload(server.url);
    await begun();
    expect(await server.kill("SIGTERM")).toBe(0);
    await expect(upload.answer).rejects.toThrow();
    await letTimePass(at);
    await sweep(at);
    expect(await remains(at)).toEqual(NOTHING_BUT_FILES);
  }, 180_000);

  test("given a second time ends the process at once", async () => {
    const server = await at.start({ DRAIN_SECONDS: "3600" });
    const upload = begunUpload(server.url);
    await begun();
    server.signal("SIGTERM");
    expect(await refusesConnections(server.url)).toBe(true);
    expect(server.hasEnded).toBe(false);
    expect(await server.kill("SIGTERM")).not.toBe(0); // what was under way was lost
    await expect(upload.answer).rejects.toThrow();
  }, 180_000);
});

const STACK = /^\s+at \S/m;

describe("serve refuses to start", () => {
  test("with wrong settings: status 2, and every one is named", async () => {
    const wrong = {
      PORT: "99999",
      CHUNK_SIZE: "12",
      MEMORY_BUDGET: "lots",
      PARITY: "4-2",
      UPLOADS: "some",
      ADMIN_TOKEN: "too-short",
      PEPPER: "no base64!",
      PUBLIC_URL: "ftp://example.com",
    };
    const { exitCode, output } = await at.run("serve", wrong);
    expect(exitCode).toBe(2);
    for (const name of Object.keys(wrong)) expect(output).toMatch(new RegExp(`^ *${name}: `, "m"));
    expect(output).not.toMatch(STACK);
    for (const secret of ["too-short", "no base64!"]) expect(output).not.toContain(secret);
  });

  test("with buckets that make no sense: status 2, and each is named", async () => {
    const { exitCode, output } = await at.run("serve", { BUCKETS: "ftp://a,gs://x,file:///tmp" });
    expect(exitCode).toBe(2);
    for (const name of ["ftp://a", "gs://x"]) expect(output).toContain(name);
    expect(output).not.toMatch(STACK);
  });

  test("with wrong buckets and other wrong settings: names both at once", async () => {
    const { exitCode, output } = await at.run("serve", { BUCKETS: "ftp://a", PORT: "99999" });
    expect(exitCode).toBe(2);
    expect(output).toContain("PORT");
    expect(output).toContain("ftp://a");
  });

  test.each(["serve", "sweep"])("over a database without tables: %s says what to run", async command => {
    await using empty = await Installation.make({ template: "template0" });
    const { exitCode, output } = await empty.run(command);
    expect(exitCode).toBe(1);
    expect(output).toContain("scattervault migrate");
    expect(output).not.toMatch(STACK);
  });

  test("over a database that is not there: with a sentence, and without its password", async () => {
    const url = new URL(at.database.url);
    url.password = "secret-of-the-database";
    url.pathname = "/no_such_database";
    const { exitCode, output } = await at.run("serve", { DATABASE_URL: url.href });
    expect(exitCode).toBe(1);
    expect(output).toContain("no_such_database");
    expect(output).not.toContain("secret-of-the-database");
  });
});

test("migrate makes of an empty database one that serve starts with, and may be run again", async () => {
  await using empty = await Installation.make({ template: "template0" });
  expect((await empty.run("migrate")).exitCode).toBe(0);
  expect((await empty.run("migrate")).exitCode).toBe(0);
  const server: ServerProcess = await empty.start();
  expect((await open(server.url, await store(server.url, "x"))).toString()).toBe("x");
}, 180_000);

test("an upload over tus goes on from HEAD on a server that was stopped and started again in its middle", async () => {
  const plain = Buffer.from(bytesOf(200_000, 3));
  const server = await at.start({ DRAIN_SECONDS: "1" });
  const path = await begin(server.url, plain.length, 16 * 1024);
  const sending = request(`${server.url}${path}`, {
    method: "PATCH",
    headers: {
      "Tus-Resumable": "1.0.0",
      "Upload-Offset": "0",
      "Content-Type": "application/offset+octet-stream",
      "Content-Length": plain.length,
    },
    agent: false,
  });
  sending.on("error", () => {}).write(plain.subarray(0, 123_456));
  await until(async () => (await head(server.url, path)).offset > 0);
  expect(await server.kill("SIGTERM")).toBe(0);
  const again = await at.start();
  expect((await head(again.url, path)).offset).toBe(123_456);
  await patch(again.url, path, 123_456, plain.subarray(123_456));
  const { hash } = await head(again.url, path);
  expect(Buffer.compare(await download(again.url, String(hash)), plain)).toBe(0);
});
