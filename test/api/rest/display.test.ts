import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { displayHeaders } from "../../../src/api/rest/display.js";
import type { Disposition } from "../../generated/graphql.js";
import { CreateDownloadLinkDocument } from "../../generated/graphql.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { PASSWORD, bodyOf, field, file, link, postForm } from "../client.js";
import { ask } from "../graphql/client.js";

const SANDBOX = "sandbox; default-src 'none'";

describe("displayHeaders", () => {
  test.each([
    // media type as the uploader gave it    shown   as
    ["image/png", true, "image/png"],
    ["IMAGE/JPEG", true, "image/jpeg"],
    ["video/mp4; codecs=avc1", true, "video/mp4"],
    ["audio/mpeg", true, "audio/mpeg"],
    ["text/plain; charset=utf-16", true, "text/plain; charset=utf-8"],
    ["image/svg+xml", false, "image/svg+xml"],
    ["text/html", false, "text/html"],
    ["text/plain+html", false, "text/plain+html"],
    ["application/xhtml+xml", false, "application/xhtml+xml"],
    ["text/xml", false, "text/xml"],
    ["application/pdf", false, "application/pdf"],
    ["application/javascript", false, "application/javascript"],
    ["text/css", false, "text/css"],
    ["", false, "application/octet-stream"],
    ["image/png\r\nX: y", false, "application/octet-stream"],
  ])("%j is shown where the link asks for it: %s", (mediaType, isShown, type) => {
    const inline = displayHeaders({ name: "a.bin", mediaType }, "inline");
    expect(inline["Content-Disposition"]).toBe(`${isShown ? "inline" : "attachment"}; filename=a.bin`);
    expect(inline["Content-Type"]).toBe(type);
    expect(inline["Content-Security-Policy"]?.startsWith(SANDBOX)).toBe(true);
    const saved = displayHeaders({ name: "a.bin", mediaType }, "attachment");
    expect(saved["Content-Disposition"]).toBe("attachment; filename=a.bin");
    expect(saved["Content-Security-Policy"]).toBe(SANDBOX);
  });
});

describe("a link", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.stop());

  async function headersOf(mediaType: string, disposition: Disposition | undefined): Promise<Headers> {
    const { url } = server;
    const form = [file("<b>x</b>", "a.bin", mediaType), field("password", PASSWORD)];
    const hash = String((await bodyOf(await postForm(url, form)))["hash"]);
    const input = { hash, password: PASSWORD, ...(disposition && { disposition }) };
    const { data } = await ask(url, CreateDownloadLinkDocument, { input });
    return (await fetch(String(data?.createDownloadLink.url))).headers;
  }

  test.each<[string, Disposition | undefined, string]>([
    ["image/png", "INLINE", "inline"],
    ["image/png", "ATTACHMENT", "attachment"],
    ["image/png", undefined, "attachment"],
    ["text/html", "INLINE", "attachment"],
  ])(
    "of a file of type %s that asks for %s is %s, sandboxed and not sniffed",
    async (type, wanted, given) => {
      const headers = await headersOf(type, wanted);
      expect(headers.get("content-disposition")).toBe(`${given}; filename=a.bin`);
      expect(headers.get("content-security-policy")).toMatch(/^sandbox; default-src 'none'/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-type")).toBe(type);
    },
  );

  test("that REST has made is an attachment", async () => {
    const { url } = server;
    const form = [file("x", "a.png", "image/png"), field("password", PASSWORD)];
    const hash = String((await bodyOf(await postForm(url, form)))["hash"]);
    const { headers } = await fetch(await link(url, hash));
    expect(headers.get("content-disposition")).toBe("attachment; filename=a.png");
  });
});
