/** What the tests of the running service ask it, over connections that may break at any byte. */
import { get } from "node:http";
import type { ServerProcess } from "../support/process.js";
import type { FilesQuery } from "../generated/graphql.js";
import { FilesDocument } from "../generated/graphql.js";
import type { GraphqlAnswer } from "../api/graphql/client.js";
import type { Part } from "../api/client.js";
import { PASSWORD, field, file, link, postForm } from "../api/client.js";
import { ask } from "../api/graphql/client.js";

const ADMIN = { Authorization: "Bearer admin-token-of-the-tests" };

/** What came of an upload: the hash it was answered with, the code of the error, or neither: the connection broke. */
export interface Answered {
  readonly plain: Uint8Array;
  readonly hash: string | null;
  readonly code: string | null;
}

/** Uploads by REST; never throws. */
export async function upload(url: string, plain: Uint8Array, ...fields: readonly Part[]): Promise<Answered> {
  try {
    const answer = await postForm(url, [...fields, file(plain), field("password", PASSWORD)]);
    const body = (await answer.json()) as { hash?: string; code?: string };
    return { plain, hash: body.hash ?? null, code: body.code ?? null };
  } catch {
    return { plain, hash: null, code: null };
  }
}

/** What came of a download. */
export interface Received {
  /** 0: the connection broke before an answer. */
  readonly status: number;
  /** Of an error that was answered. */
  readonly code: string | null;
  /** What came of the body before its end or the connection's. */
  readonly bytes: Buffer;
  /** Whether the body ended as HTTP says it must, after all its bytes. */
  readonly isWhole: boolean;
}

/** Downloads, the given bytes only where `range` is (the end exclusive); never throws. */
export function receive(from: string, range?: { start: number; end: number }): Promise<Received> {
  const headers = range ? { Range: `bytes=${range.start}-${range.end - 1}` } : {};
  const { promise, resolve } = Promise.withResolvers<Received>();
  const request = get(from, { headers, agent: false }, response => {
    const status = response.statusCode ?? 0;
    const pieces: Buffer[] = [];
    response.on("data", piece => pieces.push(piece));
    response.on("error", () => {}); // `close` follows
    response.on("close", () => {
      const bytes = Buffer.concat(pieces);
      const isWhole = response.complete && bytes.length === Number(response.headers["content-length"]);
      resolve({ status, code: codeOf(status, bytes), bytes, isWhole });
    });
  });
  request.on("error", () => resolve({ status: 0, code: null, bytes: Buffer.alloc(0), isWhole: false }));
  return promise;
}

function codeOf(status: number, body: Buffer): string | null {
  if (status < 400) return null;
  try {
    return String((JSON.parse(body.toString()) as { code?: unknown }).code);
  } catch {
    return `no JSON: ${body.toString("latin1", 0, 100)}`;
  }
}

/** The whole file, by hash and password. */
export async function open(url: string, hash: string): Promise<Buffer> {
  const received = await receive(await link(url, hash));
  if (received.status !== 200 || !received.isWhole) {
    throw new Error(`${hash}: ${received.status} ${received.code}, ${received.bytes.length} bytes`);
  }
  return received.bytes;
}

/** The hash of every file, as an administrator sees them. */
export async function allFiles(url: string): Promise<string[]> {
  const files: string[] = [];
  for (let after: string | null = null; ; ) {
    const answer: GraphqlAnswer<FilesQuery> = await ask(url, FilesDocument, { first: 100, after }, ADMIN);
    const { data, errors } = answer;
    if (!data) throw new Error(JSON.stringify(errors));
    files.push(...data.files.nodes.map(({ hash }) => hash));
    after = data.files.pageInfo.endCursor ?? null;
    if (!data.files.pageInfo.hasNextPage) return files;
  }
}

/** Whether the server, after all that was done to it, lives and takes a file in and gives it back. */
export async function works(server: ServerProcess): Promise<boolean> {
  const plain = Buffer.from(`still here ${Math.random()}`);
  const { hash } = await upload(server.url, plain);
  return hash !== null && !server.hasEnded && (await open(server.url, hash)).equals(plain);
}
