/** The sentences are those of the protocol, version 1.0.0: https://tus.io/protocols/resumable-upload */
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { until } from "../../support/until.js";
import { bytesOf } from "../../support/vault.js";
import { base64, begin, BODY, head, patch, retrieve, sql, tus } from "./client.js";

/** As if nobody had been at any upload for a minute. */
const STALL = "update uploads set expires_at = expires_at - interval '1 minute' where stage = 'receiving'";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

/** A whole part, begun without a password. */
async function part(plain: Uint8Array): Promise<string> {
  const headers = {
    "Upload-Concat": "partial",
    "Upload-Length": String(plain.length),
    "Upload-Password": undefined,
  };
  const { location } = await begin(server.url, headers);
  if (plain.length > 0) await patch(location, 0, plain);
  return location;
}

function final(...parts: string[]) {
  return begin(server.url, { "Upload-Concat": `final;${parts.join(" ")}` });
}

describe("Concatenation", () => {
  test("the final upload is the parts' bytes in the order of its header, and a file", async () => {
    const [one, two] = [bytesOf(700_000, 1), bytesOf(5, 2)];
    const parts = [await part(one), await part(two)];
    const { location, reply } = await final(...parts);
    expect(reply.status).toBe(201);
    const { headers } = await head(location);
    expect(headers["upload-length"]).toBe("700005");
    expect(headers["file-hash"]).toBe(reply.headers["file-hash"]);
    expect(Buffer.compare(await retrieve(server.url, headers["file-hash"]), Buffer.concat([one, two]))).toBe(
      0,
    );
  });

  test("The partial uploads URLs MAY be absolute or relative", async () => {
    const parts = [await part(Buffer.from("hello ")), await part(Buffer.from("world"))];
    const { reply } = await final(new URL(parts[0] ?? "").pathname, parts[1] ?? "");
    expect((await retrieve(server.url, reply.headers["file-hash"])).toString()).toBe("hello world");
  });

  test("The Server MUST respond to HEAD of a partial or final upload with the Upload-Concat header as it was received in its creation", async () => {
    const one = await part(Buffer.from("hello"));
    expect((await head(one)).headers["upload-concat"]).toBe("partial");
    const { location } = await final(one);
    expect((await head(location)).headers["upload-concat"]).toBe(`final;${one}`);
  });

  test("a part whose last request declared its length, and got no further, is whole after HEAD", async () => {
    const headers = { "Upload-Concat": "partial", "Upload-Defer-Length": "1", "Upload-Password": undefined };
    const { location } = await begin(server.url, headers);
    await patch(location, 0, "hello");
    const wrong = { "Upload-Checksum": `sha1 ${base64("no digest of nothing")}` };
    expect((await patch(location, 5, "", { "Upload-Length": "5", ...wrong })).status).toBe(460);
    expect((await head(location)).headers).toMatchObject({ "upload-length": "5", "upload-offset": "5" });
    const { reply } = await final(location);
    expect((await retrieve(server.url, reply.headers["file-hash"])).toString()).toBe("hello");
  });

  test("The Client MUST NOT include the Upload-Length header in the final upload creation", async () => {
    const headers = { "Upload-Concat": `final;${await part(Buffer.from("hello"))}`, "Upload-Length": "5" };
    expect((await begin(server.url, headers)).reply.status).toBe(400);
  });

  test("The Server MUST respond to PATCH against a final upload with 403 Forbidden", async () => {
    const { location } = await final(await part(Buffer.from("hello")));
    const { status } = await patch(location, 5, "more");
    expect(status).toBe(403);
  });

  test("The Server MUST NOT modify the final or its partial uploads by such a PATCH", async () => {
    const one = await part(Buffer.from("hello"));
    const { location } = await final(one);
    const before = [(await head(location)).headers, (await head(one)).headers];
    await patch(location, 5, "more");
    await patch(location, 0, "other");
    for (const [i, url] of [location, one].entries()) {
      const {
        "upload-offset": offset,
        "upload-length": length,
        "file-hash": hash,
      } = (await head(url)).headers;
      expect({ "upload-offset": offset, "upload-length": length, "file-hash": hash }).toEqual({
        "upload-offset": before[i]?.["upload-offset"],
        "upload-length": before[i]?.["upload-length"],
        "file-hash": before[i]?.["file-hash"],
      });
    }
  });

  test("The metadata of partial uploads SHALL NOT be transferred to the final upload", async () => {
    const { location } = await begin(server.url, {
      "Upload-Concat": "partial",
      "Upload-Length": "5",
      "Upload-Password": undefined,
      "Upload-Metadata": `filename ${base64("part.txt")}`,
    });
    await patch(location, 0, "hello");
    const whole = await final(location);
    expect((await head(whole.location)).headers["upload-metadata"]).toBeUndefined();
  });

  test("A response to HEAD of a final upload SHOULD NOT contain Upload-Offset unless the concatenation has been finished", async () => {
    const large = bytesOf(33 * 1024 * 1024, 3);
    const parts = [await part(large), await part(large)]; // together over what is made at once
    const { location, reply } = await final(...parts);
    expect(reply.status).toBe(201);
    let state = await head(location);
    if (state.headers["file-hash"] === undefined) expect(state.headers["upload-offset"]).toBeUndefined();
    while (state.headers["file-hash"] === undefined) {
      await sleep(50);
      state = await head(location);
    }
    expect(state.headers["upload-offset"]).toBe(String(2 * large.length));
    const got = await retrieve(server.url, state.headers["file-hash"]);
    expect(Buffer.compare(got, Buffer.concat([large, large]))).toBe(0);
  }, 180_000);

  test("no part expires while a whole is made of it", async () => {
    const one = await part(Buffer.from("hello"));
    const soon = "update uploads set expires_at = now() + interval '1 minute' where stage = 'receiving'";
    await sql(server.databaseUrl, soon);
    await final(one);
    const { headers } = await head(one);
    expect(Date.parse(String(headers["upload-expires"]))).toBeGreaterThan(Date.now() + 3_600_000);
  });

  test("a whole that cannot be made now has its URL all the same, and is made later", async () => {
    const plain = bytesOf(500_000, 4);
    const one = await part(plain);
    const buckets = join(server.dataDir, "buckets");
    await rename(buckets, `${buckets}-away`);
    const { location, reply } = await final(one);
    await rename(`${buckets}-away`, buckets);
    expect([reply.status, reply.headers["file-hash"]]).toEqual([201, undefined]);
    await sql(server.databaseUrl, STALL);
    let hash: string | string[] | undefined;
    await until(async () => {
      hash = (await head(location)).headers["file-hash"];
      return hash !== undefined;
    });
    expect(Buffer.compare(await retrieve(server.url, hash), plain)).toBe(0);
  }, 180_000);

  test("a whole of which a part is gone is dropped", async () => {
    const large = bytesOf(33 * 1024 * 1024, 3);
    const parts = [await part(large), await part(large)];
    const { location } = await final(...parts);
    expect((await tus("DELETE", parts[1] ?? "")).status).toBe(204); // long before it is read
    await sql(server.databaseUrl, STALL);
    let { status } = await head(location);
    while (status === 200) {
      await sleep(100);
      ({ status } = await head(location));
    }
    expect(status).toBe(404);
  }, 180_000);

  test("a part is no file: it has no hash, and its last byte makes none", async () => {
    const one = await part(Buffer.from("hello"));
    const { headers } = await head(one);
    expect([headers["upload-offset"], headers["file-hash"]]).toEqual(["5", undefined]);
  });

  test("what is no part, not whole yet, unknown, or nothing at all is refused", async () => {
    const { location: plain } = await begin(server.url, { "Upload-Length": "5" });
    expect((await final(plain)).reply.status).toBe(400);
    const open = { "Upload-Concat": "partial", "Upload-Length": "5", "Upload-Password": undefined };
    expect((await final((await begin(server.url, open)).location)).reply.status).toBe(409);
    expect((await final(`${server.url}/files/${"A".repeat(43)}`)).reply.status).toBe(404);
    expect((await final()).reply.status).toBe(400);
    expect(
      (await begin(server.url, { "Upload-Concat": "nonsense", "Upload-Length": "1" })).reply.status,
    ).toBe(400);
  });

  test("the whole needs the password, the parts do not", async () => {
    const one = await part(Buffer.from("hello"));
    const headers = { "Upload-Concat": `final;${one}`, "Upload-Password": undefined };
    expect((await begin(server.url, headers)).reply.status).toBe(400);
  });

  test("a client whose answer was lost may ask again with the same parts", async () => {
    const one = await part(Buffer.from("hello"));
    await final(one);
    const { reply } = await final(one);
    expect((await retrieve(server.url, reply.headers["file-hash"])).toString()).toBe("hello");
    expect((await tus("DELETE", one)).status).toBe(204);
  });

  test("an empty part counts as one", async () => {
    const empty = { ...BODY, "Upload-Concat": "partial", "Upload-Length": "0", "Upload-Password": undefined };
    const { location } = await begin(server.url, empty, new Uint8Array());
    const { reply } = await final(location, await part(Buffer.from("x")));
    expect((await retrieve(server.url, reply.headers["file-hash"])).toString()).toBe("x");
  });

  test("the final upload's own metadata name the file", async () => {
    const headers = {
      "Upload-Concat": `final;${await part(Buffer.from("hello"))}`,
      "Upload-Metadata": `filename ${base64("whole.txt")}`,
    };
    const { reply } = await begin(server.url, headers);
    const answer = await fetch(`${server.url}/api/retrieve/${reply.headers["file-hash"]}`, {
      headers: { "File-Password": base64("correct horse") },
    });
    const { download_link: link } = (await answer.json()) as { download_link: string };
    expect((await fetch(link)).headers.get("content-disposition")).toContain("whole.txt");
  });
});
