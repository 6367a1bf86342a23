/** A real browser, and what a page in it asked for and complained of. */
import type { Browser, Page } from "playwright-core";
import { chromium } from "playwright-core";
import { chromiumPath } from "./chromium.js";

/** A policy's complaint quotes what it kept away, which may be a whole font. */
const COMPLAINT_LENGTH = 300;

/** What is waited for comes at once on an idle machine. */
const PATIENCE_MS = 90_000;

export async function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: await chromiumPath(),
    args: [
      "--headless",
      "--no-sandbox", // of root, and of containers without user namespaces; it opens our own pages only
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export interface WatchedPage {
  readonly page: Page;
  /** Every address asked for by the page and its workers, in order; also those that were blocked. */
  readonly requests: readonly string[];
  /** Errors of its scripts, and what its Content-Security-Policy kept it from. */
  readonly complaints: readonly string[];
}

/** A page in a profile of its own, not yet anywhere. */
export async function watchedPage(browser: Browser): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const requests: string[] = [];
  const complaints: string[] = [];
  context.on("request", request => requests.push(request.url()));
  page.on("pageerror", error => complaints.push(String(error)));
  page.on("console", message => {
    if (message.type() === "error") complaints.push(message.text().slice(0, COMPLAINT_LENGTH));
  });
  return { page, requests, complaints };
}
