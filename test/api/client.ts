/** What the tests of the doors speak: real HTTP, down to raw sockets where a client misbehaves. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

export const PASSWORD = "correct horse";

/** One part of a form, in the order in which it is to be sent. */
export interface Part {
  readonly name: string;
  readonly value: string | Uint8Array;
  /** Makes it a file. */
  readonly filename?: string;
  readonly type?: string;
}

const BOUNDARY = "----a-boundary-of-the-tests";
export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

/** The body of a form, written by hand: fetch's FormData keeps no order of its own and refuses what is odd. */
export function formBody(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ name, value, filename, type }) => [
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"`,
    filename === undefined ? "" : `; filename="${filename}"`,
    type === undefined ? "" : `\r\nContent-Type: ${type}`,
    "\r\n\r\n",
    value,
    "\r\n",
  ]);
  return Buffer.concat([...pieces, `--${BOUNDARY}--\r\n`].map(piece => Buffer.from(piece)));
}

export const field = (name: string, value: string): Part => ({ name, value });
export const file = (value: string | Uint8Array, filename = "a.txt", type = "text/plain"): Part => {
  return { name: "file", value, filename, type };
};

export function postForm(
  url: string,
  parts: readonly Part[],
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${url}/api/upload`, {
    method: "POST",
    headers: { "Content-Type": FORM_TYPE, ...headers },
    body: new Uint8Array(formBody(parts)),
  });
}

/** Uploads and gives the hash. */
export async function store(
  url: string,
  content: string | Uint8Array,
  ...extra: readonly Part[]
): Promise<string> {
  const answer = await postForm(url, [file(content), field("password", PASSWORD), ...extra]);
  const body = await bodyOf(answer);
  if (answer.status !== 201 || typeof body["hash"] !== "string") throw new Error(JSON.stringify(body));
  return body["hash"];
}

export function retrieve(url: string, hash: string, query: Record<string, string> = {}): Promise<Response> {
  const parameters = new URLSearchParams({ password: PASSWORD, ...query });
  return fetch(`${url}/api/retrieve/${hash}?${parameters}`);
}

/** A download link, by hash and password. */
export async function link(url: string, hash: string, query: Record<string, string> = {}): Promise<string> {
  const answer = await retrieve(url, hash, query);
  const body = await bodyOf(answer);
  if (typeof body["download_link"] !== "string") throw new Error(JSON.stringify(body));
  return body["download_link"];
}

export async function bodyOf(answer: Response): Promise<Record<string, unknown>> {
  return (await answer.json()) as Record<string, unknown>;
}

/** What an error answer says, in the form in which tests compare it. */
export async function errorOf(answer: Response): Promise<{ status: number; code: unknown }> {
  return { status: answer.status, code: (await bodyOf(answer))["code"] };
}

/** A socket on which a client can be as odd as it likes. */
export async function rawClient(url: string) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let received = "";
  let isClosed = false;
  socket.on("data", data => {
    received += data.toString("latin1");
  });
  socket.on("close", () => {
    isClosed = true;
  });
  socket.on("error", () => {});
  await new Promise<void>(resolve => socket.once("connect", () => resolve()));
  return {
    socket,
    received: () => received,
    isClosed: () => isClosed,
    /** Sends `pieces` one after another, `pauseMs` apart, while the socket lives. */
    async trickle(pieces: readonly (string | Uint8Array)[], pauseMs: number): Promise<void> {
      for (const piece of pieces) {
        if (isClosed) return;
        socket.write(piece);
        await sleep(pauseMs);
      }
    },
    closed: (withinMs: number): Promise<boolean> => seen(() => isClosed, withinMs),
    async answered(withinMs: number): Promise<string> {
      await seen(() => /\r\n\r\n/.test(received), withinMs);
      return received;
    },
  };
}

/** Whether it was so within that time. After a pause of the whole process timers run before sockets: it looks once more. */
async function seen(isSo: () => boolean, withinMs: number): Promise<boolean> {
  for (const end = performance.now() + withinMs; performance.now() < end && !isSo(); ) await sleep(20);
  await sleep(0);
  return isSo();
}

/** How many files and open uploads the database knows: what a refused request must not change. */
export async function countRows(databaseUrl: string): Promise<{ files: number; receiving: number }> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    const { rows } = await client.query(
      "select (select count(*)::int from files) as files, (select count(*)::int from uploads where stage = 'receiving') as receiving",
    );
    return rows[0];
  } finally {
    await client.end();
  }
}
