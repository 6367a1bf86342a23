/** Forms that break off, at each of their seams and in each way a connection ends. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { UploadFileDocument } from "../generated/graphql.js";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import { FORM_TYPE, PASSWORD, field, file, formBody, rawClient } from "../api/client.js";
import { allFiles, works } from "./http.js";
import { NOTHING_BUT_FILES, query, remains, sweep } from "./remains.js";

/** Many chunks, so that much of it is stored and committed before the cut. */
const CONTENT = Buffer.from(bytesOf(400_000, 1));
const CHUNK_BYTES = 4096;

let at: Installation;
let server: ServerProcess;
beforeAll(async () => {
  at = await Installation.make();
  server = await at.start();
}, 180_000);
afterAll(() => at.remove());

interface Form {
  readonly path: string;
  readonly body: Buffer;
}

const password = field("password", PASSWORD);
const chunkSize = field("chunk_size", String(CHUNK_BYTES));
const fileFirst: Form = {
  path: "/api/upload",
  body: formBody([chunkSize, file(CONTENT), password, field("expires_in", "1000")]),
};
const fileLast: Form = { path: "/api/upload", body: formBody([chunkSize, password, file(CONTENT)]) };
const recut: Form = { path: "/api/upload", body: formBody([password, file(CONTENT), chunkSize]) };
const graphql: Form = {
  path: "/graphql",
  body: formBody([
    field(
      "operations",
      JSON.stringify({
        query: UploadFileDocument.toString(),
        variables: { input: { password: PASSWORD, chunkSize: CHUNK_BYTES, file: null } },
      }),
    ),
    field("map", JSON.stringify({ 0: ["variables.input.file"] })),
    { name: "0", value: CONTENT, filename: "a.txt", type: "text/plain" },
  ]),
};

/** How far into a form; each has the file's bytes once. */
const cuts = {
  "early in the file": ({ body }: Form) => body.indexOf(CONTENT) + 10,
  "late in the file": ({ body }: Form) => body.indexOf(CONTENT) + CONTENT.length - 1000,
  "after the last byte of the file": ({ body }: Form) => body.indexOf(CONTENT) + CONTENT.length,
  "in the part after the file": ({ body }: Form) => body.indexOf(CONTENT) + CONTENT.length + 80,
  "before the last boundary": ({ body }: Form) => body.lastIndexOf("\r\n--"),
  "in the last boundary": ({ body }: Form) => body.length - 4,
};
const anywhere = Object.keys(cuts) as (keyof typeof cuts)[];
const notAfterFile = anywhere.filter(cut => cut !== "in the part after the file");

/** What becomes of the connection after the cut. `ends` declares what is sent: HTTP's body is whole, the form is not. */
const ways = ["is reset", "is closed", "ends"] as const;

async function send(form: Form, cutAt: number, way: (typeof ways)[number]): Promise<string> {
  const client = await rawClient(server.url);
  const length = way === "ends" ? cutAt : form.body.length;
  client.socket.write(
    `POST ${form.path} HTTP/1.1\r\nHost: x\r\nApollo-Require-Preflight: 1\r\n` +
      `Content-Type: ${FORM_TYPE}\r\nContent-Length: ${length}\r\n\r\n`,
  );
  client.socket.write(form.body.subarray(0, cutAt));
  if (way === "ends") {
    const answer = await client.answered(20_000);
    client.socket.destroy();
    return answer;
  }
  await sleep(200); // so that it stores what came
  if (way === "is reset") client.socket.resetAndDestroy();
  else client.socket.end();
  await client.closed(20_000);
  return client.received();
}

/** Of 50 ms each, in a row. */
const QUIET_POLLS = 6;

async function openUploads(): Promise<number> {
  const [row] = await query<{ count: number }>(
    at,
    "select count(*)::int from uploads where stage = 'receiving'",
  );
  return row?.count ?? 0;
}

describe.each<[string, Form, readonly (keyof typeof cuts)[]]>([
  ["a form with the password after the file", fileFirst, anywhere],
  ["a form with the file last", fileLast, notAfterFile],
  ["a form whose chunk size comes after the file", recut, anywhere],
  // A GraphQL operation may be answered as soon as its file has ended, whatever comes of the form after that.
  ["a GraphQL form", graphql, notAfterFile.filter(cut => cut !== "in the last boundary")],
])("%s", (_, form, where) => {
  test.each(where)(
    `leaves no file where it is cut %s and the connection ${ways.join(", or ")}`,
    async cut => {
      const sent = ways.map(async way => [way, await send(form, cuts[cut](form), way)] as const);
      for (const [way, answer] of await Promise.all(sent)) {
        if (way === "ends") expect(answer).toMatch(/^HTTP\/1\.1 \d+ [\s\S]*"(BAD_REQUEST|BAD_USER_INPUT)"/);
        else expect(answer).not.toMatch(/^HTTP\/1\.1 2/);
      }
      // The server itself drops the upload; nobody waits for it to expire.
      // For a while: what was cut very early may be begun only after the cut.
      let quiet = 0;
      for (let i = 0; i < 400 && quiet < QUIET_POLLS; i++) {
        await sleep(50);
        quiet = (await openUploads()) === 0 ? quiet + 1 : 0;
      }
      expect(quiet).toBe(QUIET_POLLS);
      expect(await allFiles(server.url)).toEqual([]);
    },
  );

  test("leaves no object and no row about one after the sweep", async () => {
    await sweep(at);
    expect(await remains(at)).toEqual(NOTHING_BUT_FILES);
    expect(await query(at, "select count(*)::int as rows from chunks")).toEqual([{ rows: 0 }]);
  });
});

test("a server that got all of these still works", async () => {
  expect(await works(server)).toBe(true);
});
