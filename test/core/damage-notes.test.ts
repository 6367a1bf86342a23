import { describe, expect, test } from "@jest/globals";
import { DamageNotes } from "../../src/core/damage-notes.js";
import type { ChunkRecord } from "../../src/core/model.js";
import type { Damage } from "../../src/core/ports.js";

const FILE_ID = "5b0a4a5e-6d0c-4f6e-8f1e-0d2f6c1b2a39";
const log = { debug() {}, info() {}, warn() {}, error() {} };

function chunk(shard: number, bucketId = shard): ChunkRecord {
  return { stripe: 0, shard, bucketId, objectKey: "00", storedBytes: 1, digest: new Uint8Array() };
}

/** A map that answers one report after the other, when told to. */
function slowMap() {
  const reports: (readonly number[])[] = [];
  let answer = Promise.withResolvers<void>();
  const report = (_fileId: string, damage: readonly Damage[]) => {
    reports.push(damage.map(note => note.chunk.shard));
    return answer.promise;
  };
  const settle = (how: "resolve" | "reject") => {
    const due = answer;
    answer = Promise.withResolvers<void>();
    if (how === "resolve") due.resolve();
    else due.reject(new Error("the database is away"));
  };
  return { reports, settle, notes: new DamageNotes({ damage: { report }, log }, FILE_ID) };
}

const turn = () => new Promise(resolve => setImmediate(resolve));

describe("notes of damage", () => {
  test("hold up no reader; those that come while one is written are written together", async () => {
    const { reports, settle, notes } = slowMap();
    await notes.add(chunk(0), "missing");
    await turn();
    for (const shard of [1, 2, 3]) await notes.add(chunk(shard), "corrupt");
    expect(reports).toEqual([[0]]);
    settle("resolve");
    await turn();
    expect(reports).toEqual([[0], [1, 2, 3]]);
    settle("resolve");
    await notes.settle();
  });

  test("that cannot be written are given up, and the next are tried again", async () => {
    const { reports, settle, notes } = slowMap();
    await notes.add(chunk(0), "missing");
    await turn();
    settle("reject");
    await notes.settle();
    await notes.add(chunk(1), "missing");
    await turn();
    settle("resolve");
    await notes.settle();
    expect(reports).toEqual([[0], [1]]);
  });

  test("wait for the database where a thousand of them wait already", async () => {
    const { reports, settle, notes } = slowMap();
    await notes.add(chunk(0), "missing");
    await turn();
    for (let shard = 1; shard < 1000; shard++) await notes.add(chunk(shard), "missing");
    let isTaken = false;
    const last = notes.add(chunk(1000), "missing").then(() => {
      isTaken = true;
    });
    await turn();
    expect(isTaken).toBe(false);
    settle("resolve");
    await turn();
    settle("resolve");
    await last;
    expect(reports.map(report => report.length)).toEqual([1, 1000]);
  });

  test("say which buckets lack objects: not those whose objects are wrong", async () => {
    const { settle, notes } = slowMap();
    await notes.add(chunk(0, 7), "missing");
    await notes.add(chunk(1, 8), "corrupt");
    expect([...notes.lacking]).toEqual([7]);
    settle("resolve");
  });
});
