/** Raw requests of the tus protocol, header by header. */
import type { IncomingHttpHeaders } from "node:http";
import { request } from "node:http";
import pg from "pg";

export const PASSWORD = "correct horse";
export const TUS = { "Tus-Resumable": "1.0.0" };
export const BODY = { "Content-Type": "application/offset+octet-stream" };

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of headers, letter by letter. */
  readonly rawNames: readonly string[];
  readonly text: string;
}

export function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** One request. `Tus-Resumable` is added unless `headers` says something else of it. */
export function tus(
  method: string,
  url: string,
  headers: Record<string, string | undefined> = {},
  body?: Uint8Array | string,
): Promise<Reply> {
  const given = Object.entries({ ...TUS, ...headers }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
    const req = request(
      url,
      { method, headers: { ...length, ...Object.fromEntries(given) }, agent: false },
      res => {
        const parts: Buffer[] = [];
        res.on("data", part => parts.push(part));
        res.on("error", reject);
        res.on("end", () => {
          resolve({
            status: res.statusCode ?? 0,
            headers: res.headers,
            rawNames: res.rawHeaders.filter((_, i) => i % 2 === 0),
            text: Buffer.concat(parts).toString(),
          });
        });
      },
    );
    req.on("error", reject);
    req.end(body);
  });
}

/** Begins an upload and returns its URL. */
export async function begin(
  url: string,
  headers: Record<string, string | undefined> = {},
  body?: Uint8Array,
): Promise<{ location: string; reply: Reply }> {
  const password = { "Upload-Password": base64(PASSWORD) };
  const reply = await tus("POST", `${url}/files`, { ...password, ...headers }, body);
  return { location: reply.headers.location ?? "", reply };
}

export function patch(
  location: string,
  offset: number,
  body: Uint8Array | string,
  headers: Record<string, string | undefined> = {},
): Promise<Reply> {
  return tus("PATCH", location, { ...BODY, "Upload-Offset": String(offset), ...headers }, body);
}

export function head(location: string): Promise<Reply> {
  return tus("HEAD", location);
}

/** What a statement gives that is run in the server's database. */
export async function sql(databaseUrl: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  return client
    .query(text)
    .then(({ rows }) => rows)
    .finally(() => client.end());
}

/** The file's bytes, by hash and password. */
export async function retrieve(url: string, hash: string | string[] | undefined): Promise<Buffer> {
  const answer = await fetch(`${url}/api/retrieve/${hash}`, {
    headers: { "File-Password": base64(PASSWORD) },
  });
  const { download_link: link } = (await answer.json()) as { download_link: string };
  return Buffer.from(await (await fetch(link)).arrayBuffer());
}
