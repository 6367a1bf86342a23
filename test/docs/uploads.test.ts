/** docs/uploads.md is true: its code runs in a real browser, in a page of another origin, over a network that breaks. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { Browser, Page, Request } from "playwright-core";
import type { Upload } from "tus-js-client";
import { openBrowser, watchedPage } from "../support/browser.js";
import type { Fate } from "../support/flaky-proxy.js";
import { FlakyProxy, STEADY } from "../support/flaky-proxy.js";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";
import { bytesOf } from "../support/vault.js";
import { head, PASSWORD, retrieve } from "../api/tus/client.js";

interface Handlers {
  readonly onHash: (hash: string) => void;
  readonly onError: (error: Error) => void;
}

/** What the code of the page is to its reader; statements are functions here of what they speak of. */
interface Documented {
  prepare(file: File, password: string, handlers: Handlers): Upload;
  pauseAndGoOn(upload: Upload): void;
  resume(upload: Upload): Promise<void>;
  createUpload(file: File, password: string): Promise<string>;
  sendTo(tusUrl: string | null, file: File, handlers: Handlers): Promise<Upload>;
  hashOf(uploadUrl: string): Promise<string>;
  uploadStream(stream: ReadableStream, options: object): Upload;
  readonly uppy: { addFile(file: object): string; upload(): Promise<{ failed?: object[] }> };
  readonly shown: string[];
}

/** What the page's own script adds, and the tests in it. */
declare global {
  var docs: Documented;
  var upload: Upload;
  /** Settled when the upload is that was begun last in this page. */
  var done: Promise<string>;
  /** Begins an upload of the chosen file. */
  var begin: (how: (file: File, handlers: Handlers) => void) => void;
}

/** The page's own script, beside the documented code. */
const MAIN = `
  import * as docs from "./docs.js";
  window.docs = docs;
  window.begin = how => {
    const [file] = document.querySelector("input").files;
    window.done = new Promise((onHash, onError) => how(file, { onHash, onError }));
    window.done.catch(() => {}); // whoever awaits it hears of it
  };`;
const HTML =
  '<link rel="icon" href="data:,"><input type="file"><script type="module" src="main.js"></script>';

const PLAIN = bytesOf(6_000_000, 1);
const STALLED = { ...STEADY, stallAfterBytes: 3_000_000 };
const CUT: Fate = { ...STEADY, cutAfterBytes: 2_000_000 };

describe("the code of docs/uploads.md", () => {
  let [server, proxy, pages, browser]: [TestServer, FlakyProxy, Server, Browser] = [] as never;
  let [folder, origin, page]: [string, string, Page] = [] as never;
  /** Fates of the connections that carry bytes, in their order; then all is well. */
  let fates: Fate[] = [];
  let complaints: readonly string[] = [];
  const requests: Request[] = [];

  beforeAll(async () => {
    proxy = await FlakyProxy.open("http://127.0.0.1:1", () => fates[0] ?? STEADY);
    pages = createServer(async (req, res) => {
      const path = req.url === "/" ? "/index.html" : String(req.url);
      const body = await readFile(join(folder, "dist", path)).catch(() => null);
      res.setHeader("Content-Type", path.endsWith("js") ? "text/javascript" : "text/html");
      res.writeHead(body ? 200 : 404).end(body);
    }).listen(0, "127.0.0.1");
    await once(pages, "listening");
    origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
    server = await startServer({ PUBLIC_URL: proxy.url, CORS_ORIGINS: origin });
    proxy.pointTo(server.url);
    folder = await bundled(proxy.url);
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await proxy.close();
    pages.close();
    await server.stop();
    await rm(folder, { recursive: true });
  });

  beforeEach(async () => {
    fates = [];
    requests.length = 0;
    const watched = await watchedPage(browser);
    ({ page, complaints } = watched);
    page.on("request", request => void (isUpload(request) && requests.push(request)));
    await open();
  });
  afterEach(() => page.context().close());

  const isUpload = (request: Request) => request.url().startsWith(`${proxy.url}/files`);
  const methods = () => requests.map(request => request.method());

  /** Opens or reloads the page, and chooses the file. */
  async function open(): Promise<void> {
    await page.goto(origin);
    await page.waitForFunction(() => globalThis.docs);
    await page.locator("input").setInputFiles(join(folder, "photo.jpg"));
  }

  /** Until the server has made durable what it got before the connection stalled: how much that is. */
  async function stalled(): Promise<number> {
    for (;;) {
      await page.waitForTimeout(20);
      const sending = requests.findLast(request => request.method() === "PATCH");
      const offset = sending ? Number((await head(sending.url())).headers["upload-offset"]) : 0;
      if (offset < STALLED.stallAfterBytes / 2) continue;
      fates = [];
      return offset;
    }
  }

  /** Starts what the section on tus-js-client prepares. */
  const start = (password: string, parallelUploads = 1) =>
    page.evaluate(
      given =>
        globalThis.begin((file, handlers) => {
          globalThis.upload = globalThis.docs.prepare(file, given.password, handlers);
          globalThis.upload.options.parallelUploads = given.parallelUploads;
          globalThis.upload.start();
        }),
      { password, parallelUploads },
    );

  async function expectStored(hash: string): Promise<void> {
    expect(Buffer.compare(await retrieve(server.url, hash), PLAIN)).toBe(0);
  }

  /** What lies on the user's disk. */
  const kept = () => page.evaluate(() => JSON.stringify(Object.entries(localStorage)));

  test("uploads, and tells the hash", async () => {
    await start(PASSWORD);
    await expectStored(await page.evaluate(() => globalThis.done));
    expect(methods()).toEqual(["POST", "PATCH"]);
    expect([await kept(), complaints]).toEqual(["[]", []]);
  });

  test("tells what the server has against an upload", async () => {
    await start("short");
    await expect(page.evaluate(() => globalThis.done)).rejects.toThrow(/422.*password/);
  });

  test("gets through a network that breaks", async () => {
    fates = [CUT];
    await start(PASSWORD);
    while (proxy.cuts < 2) await page.waitForTimeout(20);
    fates = [];
    await expectStored(await page.evaluate(() => globalThis.done));
    expect(methods().filter(method => method === "POST")).toHaveLength(1);
  });

  test("pauses and goes on", async () => {
    fates = [STALLED];
    await start(PASSWORD);
    await stalled();
    await page.evaluate(() => globalThis.docs.pauseAndGoOn(globalThis.upload));
    await expectStored(await page.evaluate(() => globalThis.done));
    expect(methods()).toEqual(["POST", "PATCH", "HEAD", "PATCH"]);
  });

  test("resumes after a reload, without the password on the user's disk", async () => {
    fates = [STALLED];
    await start(PASSWORD);
    const offset = await stalled();
    const left = await kept();
    expect(left).toContain(`${proxy.url}/files/`);
    expect(left).not.toMatch(new RegExp(`${PASSWORD}|${btoa(PASSWORD)}`));
    await open();
    requests.length = 0;
    await page.evaluate(() =>
      globalThis.begin((file, handlers) => {
        globalThis.upload = globalThis.docs.prepare(file, "", handlers);
        void globalThis.docs.resume(globalThis.upload);
      }),
    );
    await expectStored(await page.evaluate(() => globalThis.done));
    expect(methods()).toEqual(["HEAD", "PATCH"]);
    expect(Number(requests[1]?.headers()["upload-offset"])).toBeGreaterThanOrEqual(offset);
    expect(await kept()).toBe("[]");
  });

  test("needs no password where GraphQL has begun the upload, after a reload neither", async () => {
    fates = [STALLED];
    const send = (password: string | null) =>
      page.evaluate(
        given =>
          globalThis.begin(async (file, handlers) => {
            const url = given === null ? null : await globalThis.docs.createUpload(file, given);
            await globalThis.docs.sendTo(url, file, handlers);
          }),
        password,
      );
    await send(PASSWORD);
    await stalled();
    await open();
    await send(null);
    await expectStored(await page.evaluate(() => globalThis.done));
    expect(methods()).toEqual(["HEAD", "PATCH", "HEAD", "PATCH"]);
    await send(null);
    await expect(page.evaluate(() => globalThis.done)).rejects.toThrow(
      "neither an endpoint or an upload URL",
    );
  });

  test("uploads over several connections", async () => {
    await start(PASSWORD, 4);
    const hash = await page.evaluate(() => globalThis.done);
    await expectStored(hash);
    expect(await page.evaluate(() => globalThis.docs.hashOf(globalThis.upload.url ?? ""))).toBe(hash);
  });

  test("uploads a stream whose length nobody knows", async () => {
    await page.evaluate(
      password =>
        globalThis.begin((file, handlers) => {
          const { onBeforeRequest, onSuccess, onError } = globalThis.docs.prepare(
            file,
            password,
            handlers,
          ).options;
          globalThis.docs.uploadStream(file.stream(), { onBeforeRequest, onSuccess, onError }).start();
        }),
      PASSWORD,
    );
    await expectStored(await page.evaluate(() => globalThis.done));
  });

  test("Uppy uploads, and goes on after a reload by itself", async () => {
    fates = [STALLED];
    const upload = () =>
      page.evaluate(() =>
        globalThis.begin(async (file, { onHash, onError }) => {
          globalThis.docs.uppy.addFile({ name: file.name, type: file.type, data: file });
          const { failed } = await globalThis.docs.uppy.upload();
          if (failed?.length === 0) onHash("in shown");
          else onError(new Error(JSON.stringify(failed)));
        }),
      );
    await upload();
    await stalled();
    expect(await kept()).not.toMatch(new RegExp(`${PASSWORD}|${btoa(PASSWORD)}`));
    await open();
    await upload();
    await page.evaluate(() => globalThis.done);
    await page.waitForFunction(() => globalThis.docs.shown.length > 0);
    await expectStored(String(await page.evaluate(() => globalThis.docs.shown[0])));
    expect(methods().slice(0, 4)).toEqual(["POST", "PATCH", "HEAD", "PATCH"]);
    expect(await kept()).toBe("[]");
  });
});

/** A folder with a file to choose, and a page that holds the code, bundled as a front end would. */
async function bundled(server: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "docs-uploads-"));
  const text = await readFile("docs/uploads.md", "utf8");
  const blocks = [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code = ""]) => code);
  const [prepare = "", pause, resume, session = "", uppy = "", hash, stream = "", ...rest] = blocks;
  expect(rest).toEqual([]);
  await writeFile(join(folder, "photo.jpg"), PLAIN);
  await symlink(resolve("node_modules"), join(folder, "node_modules"));
  await writeFile(
    join(folder, "docs.js"),
    `${prepare.replace("https://files.example", server)}
    export function pauseAndGoOn(upload) { ${pause} }
    export async function resume(upload) { ${resume} }
    ${session}
    ${hash}
    const endpoint = server + "/files";
    export const uploadStream = (stream, options) => ${stream.replace("…", "...options").replace(/;\s*$/, "")};
    export const shown = [];
    const showHash = (file, hash) => shown.push(hash);
    const passwordFor = () => ${JSON.stringify(PASSWORD)};
    ${uppy}
    export { uppy };`,
  );
  await writeFile(join(folder, "main.js"), MAIN);
  await writeFile(join(folder, "index.html"), HTML);
  const vite = resolve("node_modules/vite/bin/vite.js");
  await promisify(execFile)(process.execPath, [vite, "build", folder, "--logLevel", "error"], {
    cwd: folder,
  });
  return folder;
}
