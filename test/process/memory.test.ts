/** Memory does not grow with a file: its peak is read from Linux; elsewhere this test is skipped, and Jest says so. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { get, request } from "node:http";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { ServerProcess } from "../support/process.js";
import { Installation } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import { FORM_TYPE, PASSWORD, field, file, formBody, link } from "../api/client.js";

const MIB = 1024 * 1024;
const FILE_MIB = 300;
const MAX_PEAK_BYTES = 350e6;
const MARK = "<the bytes of the file>";

let at: Installation;
let server: ServerProcess;
beforeAll(async () => {
  at = await Installation.make();
  server = await at.start();
}, 180_000);
afterAll(() => at.remove());

async function peakBytes({ pid }: ServerProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** Uploads `FILE_MIB` of which each MiB is another, in a body that does not say its length. */
async function uploadLarge(): Promise<{ hash: string; sha256: string }> {
  const [head = "", tail = ""] = formBody([file(MARK), field("password", PASSWORD)])
    .toString()
    .split(MARK);
  const digest = createHash("sha256");
  const sending = request(`${server.url}/api/upload`, {
    method: "POST",
    headers: { "Content-Type": FORM_TYPE },
  });
  const { promise: answer, resolve, reject } = Promise.withResolvers<string>();
  sending.on("error", reject).on("response", async response => {
    let body = "";
    for await (const piece of response) body += piece;
    resolve(body);
  });
  sending.write(head);
  const piece = Buffer.from(bytesOf(MIB, 1));
  for (let i = 0; i < FILE_MIB; i++) {
    const next = Buffer.from(piece);
    next.writeUInt32BE(i, i);
    digest.update(next);
    if (!sending.write(next)) await new Promise(drained => sending.once("drain", drained));
  }
  sending.end(tail);
  return { hash: JSON.parse(await answer).hash, sha256: digest.digest("hex") };
}

async function downloadLarge(from: string): Promise<{ bytes: number; sha256: string }> {
  const digest = createHash("sha256");
  let bytes = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  get(from, response => {
    response.on("data", piece => {
      bytes += piece.length;
      digest.update(piece);
    });
    response.on("end", resolve).on("error", reject);
  }).on("error", reject);
  await promise;
  return { bytes, sha256: digest.digest("hex") };
}

(existsSync("/proc/self/status") ? test : test.skip)(
  `${FILE_MIB} MiB of unknown length go in and come back within ${MAX_PEAK_BYTES / 1e6} MB`,
  async () => {
    const { hash, sha256 } = await uploadLarge();
    const peakOfUpload = await peakBytes(server);
    expect(await downloadLarge(await link(server.url, hash))).toEqual({ bytes: FILE_MIB * MIB, sha256 });
    const peakOfBoth = await peakBytes(server);
    expect(peakOfUpload).toBeGreaterThan(30e6); // or it was not the server that was measured
    expect(peakOfUpload).toBeLessThan(MAX_PEAK_BYTES);
    expect(peakOfBoth).toBeLessThan(MAX_PEAK_BYTES);
  },
  120_000,
);
