/** tus-js-client, as a front end uses it. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { HttpRequest, HttpResponse, UploadOptions } from "tus-js-client";
import { Upload } from "tus-js-client";
import { FlakyProxy, seeded, STEADY } from "../../support/flaky-proxy.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { bytesOf } from "../../support/vault.js";
import { base64, begin, head, PASSWORD, patch, retrieve } from "./client.js";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

interface Run {
  readonly upload: Upload;
  /** The file's hash. */
  readonly done: Promise<string>;
}

function uploading(input: Buffer | Readable, options: Partial<UploadOptions> = {}): Run {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let hash = "";
  const upload = new Upload(input, {
    endpoint: `${server.url}/files`,
    headers: { "Upload-Password": base64(PASSWORD) },
    metadata: { filename: "client.bin", filetype: "application/x-test" },
    retryDelays: Array.from({ length: 50 }, () => 10),
    onAfterResponse: (_req, res) => {
      hash = res.getHeader("File-Hash") ?? hash;
    },
    onError: reject,
    onSuccess: () => resolve(hash),
    ...options,
  });
  return { upload, done: promise };
}

async function expectStored(hash: string, plain: Uint8Array): Promise<void> {
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(Buffer.compare(await retrieve(server.url, hash), plain)).toBe(0);
}

test("uploads in one PATCH, and in many", async () => {
  const plain = Buffer.from(bytesOf(3_000_000, 1));
  for (const chunkSize of [Number.POSITIVE_INFINITY, 400_000]) {
    const { upload, done } = uploading(plain, { chunkSize });
    upload.start();
    await expectStored(await done, plain);
  }
});

test("pauses and goes on, also as another client that knows only the URL", async () => {
  const plain = Buffer.from(bytesOf(3_000_000, 2));
  const paused = Promise.withResolvers<void>();
  const first = uploading(plain, {
    chunkSize: 200_000,
    onChunkComplete: (_size, accepted) => {
      if (accepted >= 1_000_000) void first.upload.abort().then(paused.resolve);
    },
  });
  first.upload.start();
  await paused.promise;
  const kept = Number((await head(first.upload.url ?? "")).headers["upload-offset"]);
  expect([kept >= 1_000_000, kept < plain.length]).toEqual([true, true]);
  const second = uploading(plain, { uploadUrl: first.upload.url, chunkSize: 500_000, headers: {} });
  second.upload.start();
  await expectStored(await second.done, plain);
});

test("goes on with what was sent when the server is not there yet to say how much that was", async () => {
  const plain = Buffer.from(bytesOf(1_000_000, 6));
  const { location } = await begin(server.url, { "Upload-Length": String(plain.length) });
  await patch(location, 0, plain.subarray(0, 600_000));
  const starting = createServer((_req, res) => void res.writeHead(503).end()).listen(0, "127.0.0.1");
  await once(starting, "listening");
  const { port } = starting.address() as AddressInfo;
  const methods: string[] = [];
  let hash = "";
  const { upload, done } = uploading(plain, {
    uploadUrl: location, // beside an endpoint: where it is gone, another would be begun
    onBeforeRequest: req => {
      methods.push(req.getMethod());
      if (methods.length === 1) Object.assign(req, { _url: `http://127.0.0.1:${port}` });
    },
    onAfterResponse: (req, res) => {
      refuseToForget(req, res);
      hash = res.getHeader("File-Hash") ?? hash;
    },
  });
  upload.start();
  await done;
  starting.close();
  expect(methods).toEqual(["HEAD", "HEAD", "PATCH"]);
  await expectStored(hash, plain);
});

/** As docs/uploads.md has it. */
function refuseToForget(req: HttpRequest, res: HttpResponse): void {
  const status = res.getStatus();
  if (req.getMethod() === "HEAD" && status >= 400 && ![404, 410].includes(status)) {
    throw new Error(`cannot tell yet how the upload stands: ${status}`);
  }
}

test("uploads a stream whose length it does not know", async () => {
  const plain = Buffer.from(bytesOf(1_000_000, 3));
  const { upload, done } = uploading(Readable.from([plain]), {
    uploadLengthDeferred: true,
    chunkSize: 100_000,
  });
  upload.start();
  await expectStored(await done, plain);
});

test("uploads in parallel parts, which become one file", async () => {
  const plain = Buffer.from(bytesOf(4_000_000, 4));
  const { upload, done } = uploading(plain, { parallelUploads: 4 });
  upload.start();
  await expectStored(await done, plain);
});

test("needs no password where GraphQL has begun the upload, and gets the hash at the end", async () => {
  const plain = Buffer.from(bytesOf(1_000_000, 7));
  const query = `mutation ($input: CreateUploadInput!) {
    createUpload(input: $input) { upload { tusUrl } userErrors { message } }
  }`;
  const input = { filename: "a.bin", size: plain.length, password: PASSWORD };
  const answer = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query, variables: { input } }),
  });
  const { data } = (await answer.json()) as { data: { createUpload: { upload: { tusUrl: string } } } };
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  new Upload(plain, {
    uploadUrl: data.createUpload.upload.tusUrl,
    onSuccess: ({ lastResponse }) => resolve(lastResponse.getHeader("File-Hash")),
    onError: reject,
  }).start();
  await expectStored(String(await promise), plain);
});

test.each([
  ["in one piece after the other", {}],
  ["in parallel parts", { parallelUploads: 3 }],
])(
  "gets through a network that breaks again and again: %s",
  async (_, options) => {
    const plain = Buffer.from(bytesOf(5_000_000, 5));
    const random = seeded(5);
    const proxy = await FlakyProxy.open(server.url, () => {
      if (proxy.cuts >= 30) return STEADY;
      return {
        ...STEADY,
        cutAfterBytes: Math.floor(random() * 400_000),
        cutBy: random() < 0.5 ? "reset" : "end",
      };
    });
    const { upload, done } = uploading(plain, {
      // Upload URLs name the server, not the proxy.
      onBeforeRequest: req => {
        const { pathname } = new URL(req.getURL());
        Object.assign(req, { _url: `${proxy.url}${pathname}` });
      },
      endpoint: `${proxy.url}/files`,
      ...options,
    });
    upload.start();
    await expectStored(await done, plain);
    expect(proxy.cuts).toBeGreaterThan(0);
    await proxy.close();
  },
  180_000,
);
