/** GraphiQL in a real browser: it runs with what lies here, asks nobody else, and keeps nothing. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Browser } from "playwright-core";
import type { WatchedPage } from "../support/browser.js";
import { openBrowser, watchedPage } from "../support/browser.js";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";
import { errorOf } from "./client.js";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

describe("in a browser", () => {
  let browser: Browser;
  let graphiql: WatchedPage;
  beforeAll(async () => {
    browser = await openBrowser();
    graphiql = await watchedPage(browser);
    await graphiql.page.goto(`${server.url}/graphiql`);
    await graphiql.page.waitForSelector(".graphiql-query-editor .view-line");
  });
  afterAll(() => browser.close());

  const operations = () => graphiql.page.locator(".graphiql-query-editor");
  const execute = () => graphiql.page.locator(".graphiql-execute-button");
  const answer = (part: string) =>
    graphiql.page.locator(".result-window", { hasText: part }).waitFor({ state: "visible" });

  test("opens with examples that say what they are for", async () => {
    const text = (await operations().innerText()).replace(/\s+/g, " ");
    expect(text).toContain("Three operations to begin with");
  });

  test("runs an example that is chosen, and shows its answer", async () => {
    await execute().click();
    const choices = graphiql.page.getByRole("menuitem");
    await choices.first().waitFor();
    expect(await choices.allInnerTexts()).toEqual(["Limits", "BeginUpload", "NewestFiles"]);
    await choices.first().click();
    await answer(`"tusEndpoint": "${server.url}/files"`);
  });

  test("runs the mutation with its variables: the browser is let through the CSRF guard", async () => {
    await execute().click();
    await graphiql.page.getByRole("menuitem", { name: "BeginUpload" }).click();
    await answer(`"tusUrl": "${server.url}/files/`);
  });

  test("runs what is typed, with completion from the schema, as whoever the headers say", async () => {
    const { page } = graphiql;
    await page.getByRole("button", { name: "New tab" }).click();
    await operations().click();
    await page.keyboard.press("Control+A");
    await page.keyboard.type("{ buck");
    await page.locator(".suggest-widget .monaco-list-row", { hasText: "buckets" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.type("ets { provider"); // the editor closes what is opened
    await page.getByRole("button", { name: "Headers" }).click();
    await page.locator(".graphiql-editor-tool .graphiql-editor:not(.hidden)").click();
    await page.keyboard.press("Control+A");
    await page.keyboard.insertText(`{"Authorization":"Bearer ${server.adminToken}"}`);
    await page.keyboard.press("Control+Enter");
    await answer(`"provider": "DISK"`);
  });

  test("keeps nothing of what was typed: variables hold passwords, headers tokens", async () => {
    const kept = await graphiql.page.evaluate(() => [
      ...Object.entries(localStorage),
      ...Object.entries(sessionStorage),
    ]);
    expect(kept).toEqual([]);
    expect(await graphiql.page.context().cookies()).toEqual([]);
  });

  test("asks for nothing outside this server, and nothing breaks its policy", async () => {
    const foreign = graphiql.requests
      .filter(url => !/^(data|blob):/.test(url))
      .map(url => new URL(url).origin);
    expect(new Set(foreign)).toEqual(new Set([server.url]));
    expect(graphiql.complaints).toEqual([]);
  });
});

describe("over HTTP", () => {
  test("the page may load only from here, and may not eval", async () => {
    const { headers } = await fetch(`${server.url}/graphiql`);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/^default-src 'none'; .*script-src 'self';/);
    expect(policy).not.toMatch(/unsafe-eval|https?:|\*/);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("content-type")).toBe("text/html; charset=utf-8");
  });

  test("what it loads has its version in its name and is kept", async () => {
    const html = await (await fetch(`${server.url}/graphiql`)).text();
    const [, script] = /src="(\/assets\/graphiql-[\w-]{8}\.js)"/.exec(html) ?? [];
    const { status, headers } = await fetch(server.url + script);
    expect(status).toBe(200);
    expect(headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
  });

  test.each([
    "/assets/nothing-here.js",
    "/assets/",
    "/assets/../graphiql/index.html",
    "/graphiql/",
    "/graphiql/index.html",
  ])("%s is not there", async path =>
    expect(await errorOf(await fetch(server.url + path))).toEqual({ status: 404, code: "NOT_FOUND" }),
  );

  test("it goes with introspection", async () => {
    await using other = await startServer({}, { limits: { introspection: false } });
    expect(await errorOf(await fetch(`${other.url}/graphiql`))).toEqual({ status: 404, code: "NOT_FOUND" });
  });
});
