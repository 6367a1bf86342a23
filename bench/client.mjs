/**
 * The other end of the connection, a process of its own so that its work is not on the server's event loop. Takes one
 * task by message, answers with what came of it: `seconds` from opening the connection to the last byte of the answer.
 */
import { once } from "node:events";
import { Agent, request } from "node:http";
import { matchesPattern, pattern } from "./pattern.mjs";

const PASSWORD = "correct horse battery staple";
/** As curl makes them: its length decides how fast a parser may skip through the bytes. */
const BOUNDARY = `${"-".repeat(24)}scattervault0benchmark`;

const tasks = { upload, uploads, download, downloads, tusBegin, tusUploads };

process.on("message", async ({ task, ...what }) => {
  try {
    process.send({ value: await tasks[task](what) });
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) });
  }
});

/** One multipart request, the file first, as curl sends it. */
async function upload({ url, bytes }) {
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="bench.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const tail = `\r\n--${BOUNDARY}\r\nContent-Disposition: form-data; name="password"\r\n\r\n${PASSWORD}\r\n--${BOUNDARY}--\r\n`;
  const sent = await send(new URL("/api/upload", url), {
    method: "POST",
    headers: {
      "Content-Type": `multipart/form-data; boundary=${BOUNDARY}`,
      "Content-Length": head.length + bytes + tail.length,
    },
    body: [[head], pattern(bytes), [tail]],
  });
  return { seconds: sent.seconds, hash: JSON.parse(expectStatus(sent, 201).text).hash };
}

/** `count` at once out of this one process: as many processes would compete with the server for its cores. */
async function uploads({ count, ...what }) {
  return timed(Array.from({ length: count }, () => () => upload(what)));
}

async function downloads({ count, ...what }) {
  return timed(Array.from({ length: count }, () => () => download(what)));
}

/** Asks for a link, then times the link alone. `checks`: compares every byte, untimed runs only. */
async function download({ url, hash, bytes, checks = false }) {
  const password = Buffer.from(PASSWORD).toString("base64");
  const asked = await send(new URL(`/api/retrieve/${hash}`, url), { headers: { "File-Password": password } });
  const link = new URL(JSON.parse(expectStatus(asked, 200).text).download_link);
  let offset = 0;
  const got = await send(new URL(link.pathname, url), {
    onData(data) {
      if (checks && !matchesPattern(data, offset)) throw new Error(`wrong bytes after ${offset}`);
      offset += data.length;
    },
  });
  expectStatus(got, 200);
  if (offset !== bytes) throw new Error(`${offset} bytes came, ${bytes} were stored`);
  return { seconds: got.seconds };
}

/** The locations of `count` uploads. Apart from their bytes: what a password costs is a price of each file, whatever its size. */
async function tusBegin({ url, bytes, count = 1 }) {
  // A server that knows no passwords does not look at it.
  const password = { "Upload-Password": Buffer.from(PASSWORD).toString("base64") };
  const locations = [];
  for (let i = 0; i < count; i++) {
    const created = await send(new URL("/files", url), {
      method: "POST",
      headers: { ...TUS, ...password, "Upload-Length": bytes, "Content-Length": 0 },
    });
    locations.push(expectStatus(created, 201).headers.location);
  }
  return locations;
}

/**
 * The bytes of uploads that were begun, all at once or `inTurn`, each over one connection in PATCHes of `patchBytes`: by
 * default one, the least that tus can be asked to do.
 */
async function tusUploads({ url, bytes, locations, patchBytes = bytes, inTurn = false }) {
  let hash;
  const works = locations.map(location => async () => {
    hash = await patchTus(location, url, bytes, patchBytes);
  });
  return { ...(await timed(works, inTurn)), hash };
}

async function timed(works, inTurn = false) {
  const began = performance.now();
  if (inTurn) for (const work of works) await work();
  else await Promise.all(works.map(work => work()));
  return { seconds: (performance.now() - began) / 1000 };
}

const TUS = { "Tus-Resumable": "1.0.0" };

async function patchTus(location, url, bytes, patchBytes) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const type = { "Content-Type": "application/offset+octet-stream" };
  let hash;
  for (let offset = 0; offset < bytes; offset += patchBytes) {
    const length = Math.min(patchBytes, bytes - offset);
    const patched = await send(new URL(location, url), {
      method: "PATCH",
      headers: { ...TUS, ...type, "Upload-Offset": offset, "Content-Length": length },
      body: [pattern(length)],
      agent,
    });
    hash = expectStatus(patched, 204).headers["file-hash"];
  }
  agent.destroy();
  return hash;
}

/** `onData`: takes the body instead of its becoming `text`. */
async function send(url, { method = "GET", headers = {}, body = [], onData, agent = false }) {
  const began = performance.now();
  const req = request(url, { method, headers, agent });
  const answered = once(req, "response");
  answered.catch(() => {}); // thrown where it is awaited
  for (const pieces of body) {
    for (const piece of pieces) {
      if (req.destroyed || req.res) break; // an answer before the end: what it says is below
      if (!req.write(piece)) await Promise.race([once(req, "drain"), answered]);
    }
  }
  req.end();
  const [res] = await answered;
  const texts = [];
  for await (const data of res) onData && res.statusCode < 300 ? onData(data) : texts.push(data);
  const seconds = (performance.now() - began) / 1000;
  return { seconds, status: res.statusCode, headers: res.headers, text: Buffer.concat(texts).toString() };
}

function expectStatus(sent, status) {
  if (sent.status !== status) throw new Error(`answered ${sent.status} instead of ${status}: ${sent.text}`);
  return sent;
}
