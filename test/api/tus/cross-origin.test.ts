/** Pages of other origins, which browsers let send and read what the server allows. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { begin, tus } from "./client.js";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ CORS_ORIGINS: "https://app.example" });
});
afterAll(() => server.stop());

const LENGTH = { "Upload-Length": "11" };

describe("browsers on other origins", () => {
  test("may send and read every header of the protocol, if their origin is allowed", async () => {
    const preflight = await tus("OPTIONS", `${server.url}/files`, {
      Origin: "https://app.example",
      "Access-Control-Request-Method": "PATCH",
      "Access-Control-Request-Headers": "tus-resumable,upload-offset,upload-password",
    });
    expect(preflight.headers["access-control-allow-origin"]).toBe("https://app.example");
    const allowed = preflight.headers["access-control-allow-headers"]?.toLowerCase().split(",");
    expect(allowed).toEqual(
      expect.arrayContaining([
        "authorization",
        "content-type",
        "tus-resumable",
        "upload-length",
        "upload-defer-length",
        "upload-offset",
        "upload-metadata",
        "upload-checksum",
        "upload-concat",
        "upload-password",
        "x-http-method-override",
        "x-request-id",
      ]),
    );
    const { reply } = await begin(server.url, { ...LENGTH, Origin: "https://app.example" });
    expect(reply.headers["access-control-allow-origin"]).toBe("https://app.example");
    for (const name of [
      "File-Hash",
      "Upload-Offset",
      "Location",
      "Upload-Expires",
      "Upload-Length",
      "Upload-Metadata",
      "Upload-Defer-Length",
      "Upload-Concat",
      "Tus-Version",
      "Tus-Resumable",
      "Tus-Max-Size",
      "Tus-Extension",
      "Tus-Checksum-Algorithm",
      "Retry-After",
      "X-Request-Id",
    ]) {
      expect(reply.headers["access-control-expose-headers"]).toContain(name);
    }
  });

  test("may ask what the server can do", async () => {
    const preflight = await tus("OPTIONS", `${server.url}/files`, {
      Origin: "https://app.example",
      "Access-Control-Request-Method": "OPTIONS",
    });
    expect(preflight.headers["access-control-allow-methods"]?.split(",")).toContain("OPTIONS");
    const reply = await tus("OPTIONS", `${server.url}/files`, { Origin: "https://app.example" });
    expect(reply.headers).toMatchObject({
      "tus-version": "1.0.0",
      "access-control-allow-origin": "https://app.example",
    });
  });

  test("may not, if it is not", async () => {
    const { reply } = await begin(server.url, { ...LENGTH, Origin: "https://evil.example" });
    expect(reply.headers["access-control-allow-origin"]).toBeUndefined();
  });
});
