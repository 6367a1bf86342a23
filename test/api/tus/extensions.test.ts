/** The sentences are those of the protocol, version 1.0.0: https://tus.io/protocols/resumable-upload */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { until } from "../../support/until.js";
import { bytesOf } from "../../support/vault.js";
import { countRows, rawClient } from "../client.js";
import { base64, begin, BODY, head, PASSWORD, patch, retrieve, sql, TUS, tus } from "./client.js";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ MAX_UPLOAD_SIZE: "1MiB" });
});
afterAll(() => server.stop());

const LENGTH = { "Upload-Length": "11" };

const checksum = (algorithm: string, body: string) => ({
  "Upload-Checksum": `${algorithm} ${createHash(algorithm).update(body).digest("base64")}`,
});

describe("Creation", () => {
  test("The Server MUST acknowledge a successful upload creation with the 201 Created status and MUST set the Location header", async () => {
    const { location, reply } = await begin(server.url, LENGTH);
    expect(reply.status).toBe(201);
    expect(location).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/files\/[A-Za-z0-9_-]{43}$/);
  });

  test.each([
    [{ "Upload-Length": "-1" }],
    [{ "Upload-Length": "1.5" }],
    [{ "Upload-Length": "ten" }],
    [{}],
    [{ "Upload-Length": "5", "Upload-Defer-Length": "1" }],
    [{ "Upload-Defer-Length": "2" }],
  ])(
    "Upload-Length MUST be a non-negative integer, and exactly one of it and Upload-Defer-Length: 1 be there: %j",
    async headers => {
      expect((await begin(server.url, headers)).reply.status).toBe(400);
    },
  );

  test("If the length of the upload exceeds the maximum, the Server MUST respond with the 413 Request Entity Too Large status", async () => {
    expect((await begin(server.url, { "Upload-Length": String(1024 * 1024 + 1) })).reply.status).toBe(413);
  });

  test("If the upload contains additional metadata, responses to HEAD requests MUST include the Upload-Metadata header and its value as specified by the Client during the creation", async () => {
    const metadata = `filename ${base64("über & 日本.txt")},filetype ${base64("text/plain")},is_private,other ${base64("x")}`;
    const { location } = await begin(server.url, { ...LENGTH, "Upload-Metadata": metadata });
    expect((await head(location)).headers["upload-metadata"]).toBe(metadata);
    await patch(location, 0, "hello world");
    expect((await head(location)).headers["upload-metadata"]).toBe(metadata);
  });

  test.each([
    ["filename".concat(" not-base64!")],
    ["filename QQ==,filename QQ=="],
    ["a b c"],
    [`big ${"A".repeat(5000)}`],
    [" ,"],
  ])(
    "All keys MUST be unique, values MUST be Base64 encoded, and all of it is bounded: %.40s",
    async metadata => {
      expect((await begin(server.url, { ...LENGTH, "Upload-Metadata": metadata })).reply.status).toBe(400);
    },
  );

  test("a key like __proto__ is one like any other, and changes nothing", async () => {
    const metadata = `__proto__ ${base64("polluted")},constructor ${base64("x")}`;
    const { location, reply } = await begin(server.url, { ...LENGTH, "Upload-Metadata": metadata });
    expect(reply.status).toBe(201);
    expect((await head(location)).headers["upload-metadata"]).toBe(metadata);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test.each(["", "a , b", `a ${base64("x")}, b ${base64("y")}`, "toString"])(
    "metadata may be written as clients write it: %j",
    async metadata => {
      expect((await begin(server.url, { ...LENGTH, "Upload-Metadata": metadata })).reply.status).toBe(201);
    },
  );

  test("the names of headers are written as the protocol writes them", async () => {
    const { reply, location } = await begin(server.url, LENGTH);
    expect(reply.rawNames).toEqual(expect.arrayContaining(["Location", "Upload-Expires", "Tus-Resumable"]));
    const { rawNames } = await patch(location, 0, "hello world");
    expect(rawNames).toEqual(expect.arrayContaining(["Upload-Offset", "File-Hash"]));
  });

  test("a password is taken in its own header, and refused in the metadata with the reason", async () => {
    const metadata = { ...LENGTH, "Upload-Metadata": `password ${base64(PASSWORD)}` };
    const { reply } = await begin(server.url, metadata);
    expect(reply.status).toBe(400);
    expect(reply.text).toContain("Upload-Password");
    expect((await begin(server.url, { ...LENGTH, "Upload-Password": undefined })).reply.status).toBe(400);
    expect((await begin(server.url, { ...LENGTH, "Upload-Password": base64("short") })).reply.status).toBe(
      422,
    );
    const latin1 = Buffer.from("pässwörter", "latin1").toString("base64"); // what btoa() makes of it
    for (const bad of ["%%%", latin1])
      expect((await begin(server.url, { ...LENGTH, "Upload-Password": bad })).reply.status).toBe(400);
  });

  test("an upload is created at /files alone: below it are uploads", async () => {
    const headers = { ...LENGTH, "Upload-Password": base64(PASSWORD) };
    for (const [method, path, allow] of [
      ["POST", "/files/x", "HEAD, PATCH, DELETE, OPTIONS"],
      ["PUT", "/files/x", "HEAD, PATCH, DELETE, OPTIONS"],
      ["HEAD", "/files", "POST, OPTIONS"],
    ] as const) {
      const reply = await tus(method, `${server.url}${path}`, headers);
      expect([reply.status, reply.headers.allow]).toEqual([405, allow]);
    }
  });

  test("a length that no number can hold is too large, and no upload stands at such an offset", async () => {
    for (const number of ["9007199254740993", "18446744073709551615", "1".repeat(400)]) {
      expect((await begin(server.url, { "Upload-Length": number })).reply.status).toBe(413);
      const { location } = await begin(server.url, LENGTH);
      expect((await patch(location, 0, "hello", { "Upload-Offset": number })).status).toBe(409);
    }
  });

  test.each(["0", "1", "-1", "2147483648", "9007199254740993", "NaN", "1e9", "1.5", ""])(
    "a chunk_size of %s is refused",
    async size => {
      const { reply } = await begin(server.url, {
        ...LENGTH,
        "Upload-Metadata": `chunk_size ${base64(size)}`,
      });
      expect(reply.status).toBe(400);
    },
  );

  test("an empty upload is a file at once", async () => {
    const { location, reply } = await begin(server.url, { "Upload-Length": "0" });
    expect(reply.headers["file-hash"]).toMatch(/^[0-9a-f]{64}$/);
    expect((await head(location)).headers["file-hash"]).toBe(reply.headers["file-hash"]);
    expect((await retrieve(server.url, reply.headers["file-hash"])).length).toBe(0);
  });
});

describe("Creation With Upload", () => {
  test("The Server MUST include the Upload-Offset header with the number of bytes it accepted", async () => {
    const body = Buffer.from("hello");
    const { location, reply } = await begin(server.url, { ...LENGTH, ...BODY }, body);
    expect([reply.status, reply.headers["upload-offset"]]).toEqual([201, "5"]);
    expect((await patch(location, 5, " world")).headers["file-hash"]).toMatch(/^[0-9a-f]{64}$/);
  });

  test("an upload may be whole in its creation, and then has its hash", async () => {
    const { reply } = await begin(server.url, { ...LENGTH, ...BODY }, Buffer.from("hello world"));
    expect(reply.headers["upload-offset"]).toBe("11");
    expect((await retrieve(server.url, reply.headers["file-hash"])).toString()).toBe("hello world");
  });

  test("an upload whose creation fails is forgotten, since nobody has its URL", async () => {
    const before = await countRows(server.databaseUrl);
    const wrong = { ...LENGTH, ...BODY, ...checksum("sha1", "no") };
    expect((await begin(server.url, wrong, Buffer.from("hello"))).reply.status).toBe(460);
    const tooMuch = { ...LENGTH, ...BODY };
    expect((await begin(server.url, tooMuch, Buffer.from("hello world!"))).reply.status).toBe(413);
    await until(async () => (await countRows(server.databaseUrl)).receiving === before.receiving);
  });

  test("an upload whose creator has gone before its end is forgotten as well", async () => {
    const before = await countRows(server.databaseUrl);
    const client = await rawClient(server.url);
    const type = BODY["Content-Type"];
    const head = { ...TUS, ...LENGTH, "Content-Type": type, "Upload-Password": base64(PASSWORD), Host: "x" };
    const lines = Object.entries({ ...head, "Content-Length": "11" }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    client.socket.write(["POST /files HTTP/1.1", ...lines, "", "hello"].join("\r\n"));
    const receiving = async () => (await countRows(server.databaseUrl)).receiving;
    await until(async () => (await receiving()) > before.receiving);
    client.socket.destroy();
    await until(async () => (await receiving()) === before.receiving);
  });
});

describe("Creation Defer Length", () => {
  test("The Server MUST respond to HEAD with Upload-Defer-Length: 1 until the length is known; once it is, the Client MUST NOT change it", async () => {
    const { location } = await begin(server.url, { "Upload-Defer-Length": "1" });
    expect((await head(location)).headers).toMatchObject({
      "upload-defer-length": "1",
      "upload-offset": "0",
    });
    await patch(location, 0, "hello");
    expect((await head(location)).headers["upload-length"]).toBeUndefined();
    const last = await patch(location, 5, " world", { "Upload-Length": "11" });
    expect([last.status, last.headers["upload-offset"]]).toEqual([204, "11"]);
    expect((await retrieve(server.url, last.headers["file-hash"])).toString()).toBe("hello world");
  });

  test("a length below the offset, another length, and one over the maximum are refused and change nothing", async () => {
    const { location } = await begin(server.url, { "Upload-Defer-Length": "1" });
    await patch(location, 0, "hello");
    for (const length of ["4", "1048577"]) {
      const { status } = await patch(location, 5, "", { "Upload-Length": length });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
    }
    await patch(location, 5, "", { "Upload-Length": "11" });
    expect((await patch(location, 5, " world", { "Upload-Length": "12" })).status).toBeGreaterThanOrEqual(
      400,
    );
    expect((await head(location)).headers).toMatchObject({ "upload-length": "11", "upload-offset": "5" });
  });

  test("an upload whose last request declared its length, and got no further, is made a file by HEAD", async () => {
    const { location } = await begin(server.url, { "Upload-Defer-Length": "1" });
    await patch(location, 0, "hello world");
    const refused = await patch(location, 11, "", { "Upload-Length": "11", ...checksum("sha1", "no") });
    expect(refused.status).toBe(460);
    const { headers } = await head(location);
    expect(headers).toMatchObject({ "upload-offset": "11", "upload-length": "11" });
    expect((await retrieve(server.url, headers["file-hash"])).toString()).toBe("hello world");
  });

  test("If the length of the upload is not deferred, Upload-Defer-Length MUST be omitted", async () => {
    const { location } = await begin(server.url, LENGTH);
    expect((await head(location)).headers["upload-defer-length"]).toBeUndefined();
    const late = await begin(server.url, { "Upload-Defer-Length": "1" });
    await patch(late.location, 0, "hello", { "Upload-Length": "11" });
    expect((await head(late.location)).headers["upload-defer-length"]).toBeUndefined();
  });

  test("a request that declared the length and failed may be sent again as it was", async () => {
    const { location } = await begin(server.url, { "Upload-Defer-Length": "1" });
    await patch(location, 0, "hello");
    const last = { "Upload-Length": "11" };
    expect((await patch(location, 5, "", last)).status).toBe(204);
    expect((await patch(location, 5, " world", { "Upload-Length": "12" })).status).toBe(400);
    expect((await patch(location, 5, " world", last)).status).toBe(204);
  });

  test("a request that is refused for the bytes that it announces, or their checksum, has declared no length", async () => {
    const { location } = await begin(server.url, { "Upload-Defer-Length": "1" });
    await patch(location, 0, "hello");
    const wrong = { "Upload-Length": "11", ...checksum("sha1", "no") };
    expect((await patch(location, 5, " world", wrong)).status).toBe(460);
    expect((await patch(location, 5, " world", { "Upload-Length": "7" })).status).toBe(413);
    const { headers } = await head(location);
    expect(headers).toMatchObject({ "upload-offset": "5", "upload-defer-length": "1" });
    const right = { "Upload-Length": "11", ...checksum("sha1", " world") };
    const last = await patch(location, 5, " world", right);
    expect((await retrieve(server.url, last.headers["file-hash"])).toString()).toBe("hello world");
  });

  test("a length is declared with bytes under a checksum that are not the last", async () => {
    const { location } = await begin(server.url, { "Upload-Defer-Length": "1" });
    await patch(location, 0, "hello", { "Upload-Length": "11", ...checksum("sha1", "hello") });
    expect((await head(location)).headers).toMatchObject({ "upload-offset": "5", "upload-length": "11" });
  });

  test("a length is declared without bytes, under a checksum as well, and what had come is kept", async () => {
    const { location } = await begin(server.url, { "Upload-Defer-Length": "1" });
    await patch(location, 0, "hello");
    const nothing = { "Upload-Length": "11", ...checksum("sha1", "") };
    expect((await patch(location, 5, "", nothing)).status).toBe(204);
    expect((await head(location)).headers).toMatchObject({ "upload-offset": "5", "upload-length": "11" });
    const last = await patch(location, 5, " world");
    expect((await retrieve(server.url, last.headers["file-hash"])).toString()).toBe("hello world");
  });

  test("an upload without a declared length stops at the largest file there may be", async () => {
    const { location } = await begin(server.url, { "Upload-Defer-Length": "1" });
    const reply = await patch(location, 0, bytesOf(1024 * 1024 + 1, 1));
    expect(reply.status).toBe(413);
  });
});

describe("Expiration", () => {
  test("Upload-Expires: MUST be included in every PATCH response if the upload is going to expire, and, where it is known, in the creation's; its value MUST be in RFC 7231 datetime format", async () => {
    const { location, reply } = await begin(server.url, LENGTH);
    for (const { headers } of [reply, await patch(location, 0, "hello"), await head(location)]) {
      const expires = String(headers["upload-expires"]);
      expect(new Date(expires).toUTCString()).toBe(expires);
      expect(Date.parse(expires)).toBeGreaterThan(Date.now() + 23 * 3_600_000);
    }
  });

  test("a part expires as well, and says when, also once it is whole", async () => {
    const partial = { "Upload-Concat": "partial", "Upload-Password": undefined };
    const { location } = await begin(server.url, { ...partial, ...LENGTH });
    const empty = await begin(server.url, { ...partial, "Upload-Length": "0" });
    for (const { headers } of [await patch(location, 0, "hello world"), empty.reply])
      expect(Date.parse(String(headers["upload-expires"]))).toBeGreaterThan(Date.now());
  });

  test("If a Client does attempt to resume an upload which has since been removed by the Server, the Server SHOULD respond with 410 Gone if it keeps track of expired uploads", async () => {
    const { location } = await begin(server.url, LENGTH);
    await patch(location, 0, "hello");
    await sql(
      server.databaseUrl,
      "update uploads set expires_at = now() - interval '1 second' where stage = 'receiving'",
    );
    for (const { status } of [
      await head(location),
      await patch(location, 5, " world"),
      await tus("DELETE", location),
    ]) {
      expect(status).toBe(410);
    }
  });

  test("an upload that became a file long ago is 404: it was not dropped", async () => {
    const { location } = await begin(server.url, LENGTH);
    await patch(location, 0, "hello world");
    const over = "update uploads set expires_at = now() - interval '1 second' where stage = 'finished'";
    await sql(server.databaseUrl, over);
    expect((await head(location)).status).toBe(404);
  });
});

describe("Termination", () => {
  test("The Server SHOULD free associated resources and MUST respond with 204 No Content. For all future requests to this URL, the Server SHOULD respond with 404 or 410", async () => {
    const { location } = await begin(server.url, LENGTH);
    await patch(location, 0, "hello");
    expect((await tus("DELETE", location)).status).toBe(204);
    for (const { status } of [
      await head(location),
      await patch(location, 5, " world"),
      await tus("DELETE", location),
    ]) {
      expect([404, 410]).toContain(status);
    }
  });

  test("an upload's token is no right to delete the file that came of it", async () => {
    const { location, reply } = await begin(server.url, { ...LENGTH, ...BODY }, Buffer.from("hello world"));
    expect((await tus("DELETE", location)).status).toBe(409);
    expect((await retrieve(server.url, reply.headers["file-hash"])).toString()).toBe("hello world");
  });
});

describe("Checksum", () => {
  test.each(["sha1", "sha256", "md5"])(
    "The Server MUST support at least SHA1, and verifies %s",
    async algorithm => {
      const { location } = await begin(server.url, LENGTH);
      expect((await patch(location, 0, "hello", checksum(algorithm, "hello"))).status).toBe(204);
    },
  );

  test("If the checksums do not match, the Server MUST discard the chunk and its effect on the upload, and respond with 460 Checksum Mismatch", async () => {
    const { location } = await begin(server.url, LENGTH);
    await patch(location, 0, "hello");
    expect((await patch(location, 5, " wrong", checksum("sha1", " world"))).status).toBe(460);
    expect((await head(location)).headers["upload-offset"]).toBe("5");
    const reply = await patch(location, 5, " world", checksum("sha1", " world"));
    expect((await retrieve(server.url, reply.headers["file-hash"])).toString()).toBe("hello world");
  });

  test("…also where the wrong bytes were many chunks long, were the last, or came with the creation", async () => {
    const plain = bytesOf(9000, 2);
    const wrong = { "Upload-Checksum": `md5 ${createHash("md5").update("else").digest("base64")}` };
    const headers = { "Upload-Length": "9000", "Upload-Metadata": `chunk_size ${base64("1024")}` };
    const { location } = await begin(server.url, headers);
    expect((await patch(location, 0, plain, wrong)).status).toBe(460);
    expect((await head(location)).headers["upload-offset"]).toBe("0");
    expect((await begin(server.url, { ...headers, ...BODY, ...wrong }, plain)).reply.status).toBe(460);
    const right = { "Upload-Checksum": `md5 ${createHash("md5").update(plain).digest("base64")}` };
    const reply = await patch(location, 0, plain, right);
    expect(Buffer.compare(await retrieve(server.url, reply.headers["file-hash"]), plain)).toBe(0);
  });

  test("If the Server does not support the checksum algorithm, it MUST respond with 400 Bad Request", async () => {
    const { location } = await begin(server.url, LENGTH);
    for (const value of ["crc32 AAAA", "sha1", "sha1 !!!", "sha1 QQ== x", ""]) {
      expect((await patch(location, 0, "hello", { "Upload-Checksum": value })).status).toBe(400);
    }
    expect((await head(location)).headers["upload-offset"]).toBe("0");
  });
});
