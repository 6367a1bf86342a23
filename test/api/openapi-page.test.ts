/** /docs/api in a real browser: Swagger UI over /openapi.json, from our own files. */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { Browser } from "playwright-core";
import type { WatchedPage } from "../support/browser.js";
import { openBrowser, watchedPage } from "../support/browser.js";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";

let server: TestServer;
let browser: Browser;
let docs: WatchedPage;
beforeAll(async () => {
  server = await startServer();
  browser = await openBrowser();
  docs = await watchedPage(browser);
  await docs.page.goto(`${server.url}/docs/api`);
  await docs.page.locator(".opblock").first().waitFor();
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

test("every operation of /openapi.json is on the page", async () => {
  const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
    paths: Record<string, object>;
  };
  const said = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
  );
  const shown = await docs.page.locator(".opblock-summary-path-description-wrapper").count();
  const texts = await docs.page.locator(".opblock").evaluateAll(blocks =>
    blocks.map(block => {
      const text = (selector: string) => block.querySelector(selector)?.textContent ?? "";
      return `${text(".opblock-summary-method")} ${text(".opblock-summary-path").replace(/\u200b/g, "")}`;
    }),
  );
  expect(shown).toBe(said.length);
  expect(texts.sort()).toEqual(said.sort());
});

test("what is described can be tried: /healthz", async () => {
  const health = docs.page.locator(".opblock", { hasText: "/healthz" });
  await health.locator(".opblock-summary-control").click();
  await health.locator("button.execute").click();
  const answer = health.locator(".live-responses-table .response");
  await answer.waitFor();
  expect(await answer.innerText()).toContain('"status": "ok"');
});

test("asks for nothing outside this server, and nothing breaks its policy", () => {
  const asked = docs.requests.filter(url => !/^(data|blob):/.test(url)).map(url => new URL(url).origin);
  expect(new Set(asked)).toEqual(new Set([server.url]));
  expect(docs.complaints).toEqual([]);
});

test("the page may load only from here: no inline script or style, no eval", async () => {
  const policy = (await fetch(`${server.url}/docs/api`)).headers.get("content-security-policy") ?? "";
  expect(policy).toMatch(/^default-src 'none'; .*script-src 'self'; style-src 'self';/);
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
});
