/** The sentences are those of the protocol, version 1.0.0: https://tus.io/protocols/resumable-upload */
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { bytesOf } from "../../support/vault.js";
import { base64, begin, BODY, head, patch, retrieve, TUS, tus } from "./client.js";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const LENGTH = { "Upload-Length": "11" };

describe("Core protocol: HEAD", () => {
  test("The Server MUST always include the Upload-Offset header in the response for a HEAD request, even if the offset is 0, or the upload is already considered completed", async () => {
    const { location } = await begin(server.url, LENGTH);
    expect((await head(location)).headers["upload-offset"]).toBe("0");
    await patch(location, 0, "hello world");
    expect((await head(location)).headers["upload-offset"]).toBe("11");
  });

  test("If the size of the upload is known, the Server MUST include the Upload-Length header in the response", async () => {
    const { location } = await begin(server.url, LENGTH);
    expect((await head(location)).headers["upload-length"]).toBe("11");
  });

  test("If the resource is not found, the Server SHOULD return either the 404, 410 or 403 status without the Upload-Offset header", async () => {
    const reply = await head(`${server.url}/files/${"A".repeat(43)}`);
    expect(reply.status).toBe(404);
    expect(reply.headers["upload-offset"]).toBeUndefined();
    for (const id of ["x", "..%2f..%2fetc", "%00", "A".repeat(500)]) {
      expect((await head(`${server.url}/files/${id}`)).status).toBe(404);
    }
  });

  test("The Server MUST prevent the client and/or proxies from caching the response by adding Cache-Control: no-store", async () => {
    const { location } = await begin(server.url, LENGTH);
    expect((await head(location)).headers["cache-control"]).toBe("no-store");
  });
});

describe("Core protocol: PATCH", () => {
  test("The Server MUST acknowledge successful PATCH requests with the 204 No Content status. It MUST include the Upload-Offset header containing the new offset", async () => {
    const { location } = await begin(server.url, LENGTH);
    const reply = await patch(location, 0, "hello");
    expect([reply.status, reply.headers["upload-offset"]]).toEqual([204, "5"]);
  });

  test("All PATCH requests MUST use Content-Type: application/offset+octet-stream, otherwise the server SHOULD return a 415 Unsupported Media Type status", async () => {
    const { location } = await begin(server.url, LENGTH);
    for (const type of ["text/plain", undefined, "application/octet-stream"]) {
      const reply = await patch(location, 0, "hello", { "Content-Type": type });
      expect(reply.status).toBe(415);
    }
    expect((await head(location)).headers["upload-offset"]).toBe("0");
  });

  test("If the offsets do not match, the Server MUST respond with the 409 Conflict status without modifying the upload resource", async () => {
    const { location } = await begin(server.url, LENGTH);
    await patch(location, 0, "hello");
    for (const offset of [0, 4, 6, 11]) {
      const reply = await patch(location, offset, "wrong");
      expect([reply.status, reply.headers["upload-offset"]]).toEqual([409, "5"]); // where to go on: of branch 1.1
    }
    expect((await head(location)).headers["upload-offset"]).toBe("5");
  });

  test("The Server MUST NOT accept a PATCH without Upload-Offset, or with one that is no number", async () => {
    const { location } = await begin(server.url, LENGTH);
    for (const offset of [undefined, "-1", "1.5", "abc", ""]) {
      const reply = await tus("PATCH", location, { ...BODY, "Upload-Offset": offset }, "hello");
      expect(reply.status).toBeGreaterThanOrEqual(400);
      expect(reply.status).toBeLessThan(500);
    }
    expect((await head(location)).headers["upload-offset"]).toBe("0");
  });

  test("If the Server receives a PATCH request against a non-existent resource it SHOULD return a 404 Not Found status", async () => {
    expect((await patch(`${server.url}/files/${"B".repeat(43)}`, 0, "hello")).status).toBe(404);
  });

  test.each(["Upload-Length", "Upload-Offset"])("%s is a whole number in digits alone", async name => {
    const { location } = await begin(server.url, { "Upload-Defer-Length": "1" });
    await patch(location, 0, "hello");
    for (const value of ["5e+21", "-5", "+5", "0x5", "5.0", " ", "five"])
      expect((await patch(location, 5, "", { [name]: value })).status).toBe(400);
    expect((await head(location)).headers).toMatchObject({
      "upload-offset": "5",
      "upload-defer-length": "1",
    });
  });

  test("bytes after the end are refused, also where the body does not say how many it has", async () => {
    const { location } = await begin(server.url, { "Upload-Length": "5" });
    for (const offset of [0, 5, 5]) {
      const body = Readable.toWeb(Readable.from(["hello"])) as ReadableStream;
      const headers = { ...TUS, ...BODY, "Upload-Offset": String(offset) };
      const { status } = await fetch(location, { method: "PATCH", headers, body, duplex: "half" });
      expect(status).toBe(offset === 0 ? 204 : 413);
    }
    expect((await patch(location, 5, "")).status).toBe(204);
  });

  test("what proxies add to a request or its URL changes nothing", async () => {
    const forwarded = { "X-Forwarded-Proto": "https, http" };
    const { location, reply } = await begin(server.url, { "Upload-Length": "5", ...forwarded });
    expect(reply.status).toBe(201);
    expect((await patch(`${location}?via=proxy`, 0, "hello", forwarded)).status).toBe(204);
    expect((await tus("DELETE", `${location}?via=proxy`, forwarded)).status).toBe(409);
  });

  test("The Server SHOULD accept PATCH requests against any upload URL and apply the bytes contained in the message at the given offset; the new offset MUST be the sum of the offset before the PATCH and the number of bytes received", async () => {
    const { location } = await begin(server.url, LENGTH);
    let offset = 0;
    for (const piece of ["h", "ello ", "wor", "ld"]) {
      const { status, headers } = await patch(location, offset, piece);
      offset += piece.length;
      expect([status, headers["upload-offset"]]).toEqual([204, String(offset)]);
    }
    const { headers } = await head(location);
    expect((await retrieve(server.url, headers["file-hash"])).toString()).toBe("hello world");
  });

  test("more bytes than the declared length are refused, and none of the excess is kept", async () => {
    const { location } = await begin(server.url, LENGTH);
    const reply = await patch(location, 0, "hello world and more");
    expect([400, 413]).toContain(reply.status);
    expect(Number((await head(location)).headers["upload-offset"])).toBeLessThanOrEqual(11);
  });

  test("the request that brings the last byte answers with the file's hash, and so does HEAD from then on", async () => {
    const { location } = await begin(server.url, LENGTH);
    await patch(location, 0, "hello");
    const reply = await patch(location, 5, " world");
    expect(reply.headers["file-hash"]).toMatch(/^[0-9a-f]{64}$/);
    expect((await head(location)).headers["file-hash"]).toBe(reply.headers["file-hash"]);
    expect((await retrieve(server.url, reply.headers["file-hash"])).toString()).toBe("hello world");
  });

  test("a file of many chunks in PATCHes of odd sizes comes back byte-equal", async () => {
    const plain = bytesOf(50_000, 1);
    const metadata = `chunk_size ${base64("1024")}`;
    const { location } = await begin(server.url, { "Upload-Length": "50000", "Upload-Metadata": metadata });
    let hash: string | string[] | undefined;
    for (let offset = 0, size = 1; offset < plain.length; offset += size, size = size * 2 + 1) {
      const reply = await patch(location, offset, plain.subarray(offset, offset + size));
      expect(reply.status).toBe(204);
      hash = reply.headers["file-hash"];
    }
    expect(Buffer.compare(await retrieve(server.url, hash), plain)).toBe(0);
  });
});

describe("Core protocol: OPTIONS", () => {
  test("A successful response MUST contain the Tus-Version header. It MAY include the Tus-Extension and Tus-Max-Size headers", async () => {
    const reply = await tus("OPTIONS", `${server.url}/files`, { "Tus-Resumable": undefined });
    expect([200, 204]).toContain(reply.status);
    expect(reply.headers).toMatchObject({
      "tus-resumable": "1.0.0",
      "tus-version": "1.0.0",
      "tus-max-size": String(2 ** 40),
      "tus-checksum-algorithm": "sha1,sha256,md5",
      "tus-extension":
        "creation,creation-with-upload,creation-defer-length,expiration,termination,checksum,concatenation",
    });
  });

  test("The Client SHOULD NOT include Tus-Resumable in the request and the Server MUST ignore it", async () => {
    const reply = await tus("OPTIONS", `${server.url}/files`, { "Tus-Resumable": "0.2.0" });
    expect([200, 204]).toContain(reply.status);
  });
});

describe("Core protocol: headers", () => {
  test("The Tus-Resumable header MUST be included in every request and response except for OPTIONS requests", async () => {
    const { location, reply } = await begin(server.url, LENGTH);
    const replies = [
      reply,
      await head(location),
      await patch(location, 0, "h"),
      await patch(location, 9, "x"),
    ];
    for (const { headers } of replies) expect(headers["tus-resumable"]).toBe("1.0.0");
  });

  test.each(["HEAD", "PATCH", "DELETE", "POST"])(
    "If the version specified by the Client is not supported by the Server, it MUST respond with 412 and MUST include Tus-Version, and MUST NOT process the request: %s",
    async method => {
      const { location } = await begin(server.url, LENGTH);
      const url = method === "POST" ? `${server.url}/files` : location;
      for (const version of ["0.2.2", "2.0.0", undefined]) {
        const headers = { ...BODY, "Upload-Offset": "0", "Upload-Length": "5", "Tus-Resumable": version };
        const reply = await tus(method, url, headers, method === "PATCH" ? "hello" : undefined);
        expect([reply.status, reply.headers["tus-version"]]).toEqual([412, "1.0.0"]);
      }
      expect((await head(location)).headers["upload-offset"]).toBe("0");
    },
  );

  test("X-HTTP-Method-Override: the Server MUST interpret its value as the request's method, if the header is presented", async () => {
    const { location } = await begin(server.url, LENGTH);
    const override = (method: string) => ({
      ...BODY,
      "X-HTTP-Method-Override": method,
      "Upload-Offset": "0",
    });
    expect((await tus("POST", location, override("PATCH"), "hello")).status).toBe(204);
    expect((await tus("POST", location, override("HEAD"))).headers["upload-offset"]).toBe("5");
    expect((await tus("POST", location, override("OPTIONS"))).headers["tus-version"]).toBe("1.0.0");
    expect((await tus("POST", location, override("DELETE"))).status).toBe(204);
    expect([404, 410]).toContain((await head(location)).status);
  });

  test("X-HTTP-Method-Override: the actual method of the request MUST be ignored", async () => {
    const { location } = await begin(server.url, LENGTH);
    for (const actual of ["GET", "PUT", "DELETE", "PATCH"]) {
      const reply = await tus(actual, location, { "X-HTTP-Method-Override": "HEAD" });
      expect([reply.status, reply.headers["upload-offset"]]).toEqual([200, "0"]);
    }
    expect((await tus("POST", location, { "X-HTTP-Method-Override": "BREW" })).status).toBe(405);
  });
});
