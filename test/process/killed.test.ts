/** SIGKILL at any moment (T26): what was acknowledged stays, and nothing else does. */
import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "@jest/globals";
import { Installation } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import { field } from "../api/client.js";
import type { Answered } from "./http.js";
import { allFiles, open, upload, works } from "./http.js";
import { NOTHING_BUT_FILES, letTimePass, remains, sweep } from "./remains.js";

interface Load {
  readonly kills: number;
  /** Uploads under way at once. */
  readonly lanes: number;
  readonly maxBytes: number;
  readonly chunkBytes: number;
  readonly maxKillAfterMs: number;
}

let seed = 0;
/** No two are alike. */
function newPlain(maxBytes: number): Uint8Array {
  return bytesOf(randomInt(1000, maxBytes), seed++);
}

/** Starts, uploads in several lanes, kills; again and again. */
async function killAgainAndAgain(at: Installation, load: Load): Promise<Answered[]> {
  const answered: Answered[] = [];
  for (let kill = 0; kill < load.kills; kill++) {
    const server = await at.start();
    const send = async () => {
      const chunkSize = field("chunk_size", String(load.chunkBytes));
      answered.push(await upload(server.url, newPlain(load.maxBytes), chunkSize));
    };
    await send(); // the first of a process takes far longer
    let isKilled = false;
    const lane = async () => {
      while (!isKilled) await send();
    };
    const lanes = Promise.all(Array.from({ length: load.lanes }, lane));
    await sleep(randomInt(10, load.maxKillAfterMs));
    isKilled = true;
    await server.kill("SIGKILL");
    await lanes;
  }
  return answered;
}

describe("a server that is killed while files come in", () => {
  test.each<[string, Load]>([
    [
      "in the midst of large ones",
      { kills: 8, lanes: 4, maxBytes: 600_000, chunkBytes: 4096, maxKillAfterMs: 700 },
    ],
    [
      "as many small ones end",
      { kills: 4, lanes: 30, maxBytes: 3000, chunkBytes: 1024, maxKillAfterMs: 1000 },
    ],
  ])(
    "%s keeps every file it answered for, and nothing of the others",
    async (_, load) => {
      await using at = await Installation.make();
      const answered = await killAgainAndAgain(at, load);
      const server = await at.start();

      const lost = answered.filter(({ hash }) => hash === null);
      // Of both, or the kills came at the wrong time.
      expect(lost.length).toBeGreaterThan(load.kills);
      expect(answered.length - lost.length).toBeGreaterThanOrEqual(load.kills);
      expect(lost.map(({ code }) => code)).toEqual(lost.map(() => null));
      for (const { hash, plain } of answered) {
        if (hash !== null) expect(Buffer.compare(await open(server.url, hash), plain)).toBe(0);
      }

      // A kill between the last commit and its answer leaves a whole file that nobody was told of. No part of one.
      const told = new Set(answered.map(({ hash }) => hash));
      for (const hash of await allFiles(server.url)) {
        if (told.has(hash)) continue;
        const bytes = await open(server.url, hash);
        expect(lost.some(({ plain }) => Buffer.compare(plain, bytes) === 0)).toBe(true);
      }

      await server.kill("SIGTERM");
      await letTimePass(at);
      await sweep(at);
      expect(await remains(at)).toEqual(NOTHING_BUT_FILES);
      expect(await works(await at.start())).toBe(true);
    },
    180_000,
  );
});
