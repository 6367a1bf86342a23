import { describe, expect, test } from "@jest/globals";
import { sql } from "kysely";
import type { AuditEntry, AuditEvent } from "../../src/core/audit.js";
import { verifyAudit } from "../../src/core/audit-chain.js";
import { eventOf } from "../../src/core/auditor.js";
import { AuditRows, recordAudit } from "../../src/database/audit-log.js";
import { AuditTrailRows } from "../../src/database/audit-trail.js";
import type { Database } from "../../src/database/orm.js";
import { openDatabase } from "../../src/database/orm.js";
import { newFileId } from "../../src/format/id.js";
import { silent } from "../support/log.js";
import { newFile, run, some, stores, times } from "./fixture.js";

const s = stores();

const event = (change: Partial<AuditEvent> = {}): AuditEvent => ({
  ...eventOf({ action: "FILE_UNLOCKED", caller: null, fileId: newFileId() }),
  actor: "admin",
  clientIp: "192.0.2.1",
  requestId: "r",
  ...change,
});

function open(database: Database = s.database) {
  const log = new AuditRows(database, silent);
  return { log, trail: new AuditTrailRows(database, log) };
}

async function* all(after = 0): AsyncGenerator<AuditEntry> {
  for (const entry of await open().trail.entries(after, 100_000)) yield entry;
}

const verdict = async () => verifyAudit(all(), { claimed: () => open().trail.head() });

async function whole(): Promise<void> {
  expect(await verdict()).toMatchObject({ isWhole: true });
}

describe("the audit log", () => {
  test("keeps what was recorded, in order, with the database's time and the file's hash", async () => {
    const { log, trail } = open();
    const file = await newFile(s);
    await log.record(event({ fileId: file.id, code: null }));
    await log.record(event({ outcome: "DENIED", code: "WRONG_PASSWORD", count: 3, bucketId: 5 }));
    const head = await trail.head();
    const [first, second] = await trail.entries(head.seq - 2, 10);
    expect(first).toMatchObject({ ...event({ fileId: file.id }), fileHash: file.hash, seq: head.seq - 1 });
    expect(second).toMatchObject({
      outcome: "DENIED",
      code: "WRONG_PASSWORD",
      count: 3,
      bucketId: 5,
      fileHash: null,
    });
    expect(second).toMatchObject({ previous: first?.hash, hash: head.hash });
    expect(Math.abs(some(first).at.getTime() - Date.now())).toBeLessThan(600_000);
    await whole();
  });

  test("has an event exactly if the transaction that made it was committed", async () => {
    const { seq } = await open().log.chain();
    const failing = s.database.transaction(async em => {
      await recordAudit(em, event());
      throw new Error("rolled back");
    });
    await expect(failing).rejects.toThrow("rolled back");
    await s.database.transaction(em => recordAudit(em, event()));
    expect((await open().log.chain()).seq).toBe(seq + 1);
  });

  test("is chained soon by itself, and by close at the latest", async () => {
    const { log } = open();
    const { seq } = await log.chain();
    await log.record(event());
    await log.close();
    const { rows } = await sql<{ seq: string }>`select seq from audit_head`.execute(
      s.database.em().getKysely(),
    );
    expect(Number(rows[0]?.seq)).toBe(seq + 1);
  });

  test("is one chain, without a gap, when two processes append at once", async () => {
    const other = await openDatabase({ url: s.url, poolSize: 4, log: silent });
    const logs = [open().log, open(other).log];
    const { seq } = await open().log.chain();
    await times(400, async i => {
      await logs[i % 2]?.record(event({ requestId: `${i}` }));
      if (i % 7 === 0) await logs[i % 2]?.chain();
    });
    await Promise.all(logs.map(log => log.close()));
    const head = await open().log.chain();
    expect(head.seq).toBe(seq + 400);
    const ids = (await open().trail.entries(seq, 1000)).map(entry => Number(entry.requestId));
    expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, i) => i));
    await whole();
    await other.close();
  });

  test("chains more than a batch", async () => {
    const { log } = open();
    const { seq } = await log.chain();
    await run(
      s,
      "insert into audit_inbox (action, outcome) select 'FILE_UNLOCKED', 'SUCCESS' from generate_series(1, 2500)",
    );
    expect((await log.chain()).seq).toBe(seq + 2500);
    await whole();
  });

  test.each([
    "update audit_events set actor = 'x' where seq = 1",
    "delete from audit_events where seq = 1",
    "truncate audit_events",
    "update audit_inbox set actor = 'x'",
    "truncate audit_inbox",
    "delete from audit_head",
    "truncate audit_head",
  ])("refuses by a trigger: %s", async statement => {
    await expect(run(s, statement)).rejects.toThrow("append-only");
  });
});

describe("a page", () => {
  test("is newest first, goes on from a number, and says whether there is more", async () => {
    const { log, trail } = open();
    for (const requestId of ["a", "b", "c"]) await log.record(event({ requestId }));
    const first = await trail.page(2, null, {});
    expect(first.entries.map(entry => entry.requestId)).toEqual(["c", "b"]);
    expect(first.hasNext).toBe(true);
    const next = await trail.page(1, some(first.entries[1]).seq, {});
    expect(next.entries.map(entry => entry.requestId)).toEqual(["a"]);
    expect(await trail.page(5, 1, {})).toEqual({ entries: [], hasNext: false });
  });

  test("of several files is each one's own, from one and the same number on", async () => {
    const { log, trail } = open();
    const [many, few, none] = [newFileId(), newFileId(), newFileId()];
    for (const fileId of [many, few, many, many]) await log.record(event({ fileId }));
    const pages = await trail.pagesOf([few, none, many], 2, null);
    for (const [i, fileId] of [few, none, many].entries()) {
      expect(pages[i]).toEqual(await trail.page(2, null, { fileId }));
    }
    expect(pages.map(({ hasNext }) => hasNext)).toEqual([false, false, true]);
    expect(await trail.pagesOf([many, many], 2, null)).toEqual([pages[2], pages[2]]);
    const last = some(pages[2]?.entries[1]).seq;
    expect(await trail.pagesOf([many, few], 2, last)).toEqual([
      await trail.page(2, last, { fileId: many }),
      await trail.page(2, last, { fileId: few }),
    ]);
  });

  test("has only what the filter asks for", async () => {
    const { log, trail } = open();
    const file = await newFile(s);
    await log.record(event({ fileId: file.id, requestId: "upload", action: "UPLOAD_CREATED" }));
    await log.record(event({ fileId: file.id, requestId: "no", outcome: "DENIED", bucketId: 9 }));
    const found = async (filter: Parameters<AuditTrailRows["page"]>[2]) =>
      (await trail.page(100, null, filter)).entries.map(entry => entry.requestId);
    expect(await found({ fileHash: file.hash })).toEqual(["no", "upload"]);
    expect(await found({ fileId: file.id })).toEqual(["no", "upload"]);
    expect(await found({ fileId: file.id, action: ["UPLOAD_CREATED", "LINK_CREATED"] })).toEqual(["upload"]);
    expect(await found({ fileId: file.id, outcome: ["DENIED"] })).toEqual(["no"]);
    expect(await found({ bucketId: 9 })).toEqual(["no"]);
    const [newest] = (await trail.page(1, null, {})).entries;
    const { at } = some(newest);
    expect((await found({ since: at })).at(0)).toBe("no");
    expect(await found({ until: at, bucketId: 9 })).toEqual([]);
    expect(await found({ fileHash: "0".repeat(64) })).toEqual([]);
  });
});

describe("verifying the table finds, though a superuser disabled the triggers,", () => {
  /** As an attacker in the database: within a transaction that is rolled back, so that the next row finds the log whole. */
  async function afterwards(...statements: readonly string[]) {
    const undone = new Error("undone");
    let found: Awaited<ReturnType<typeof verdict>> | undefined;
    await s.database
      .transaction(async em => {
        for (const statement of ["set local session_replication_role = replica", ...statements])
          await sql.raw(statement).execute(em.getKysely());
        const inside = { ...s.database, em: () => em };
        const { rows } = await sql<{ seq: string; hash: Buffer }>`select seq, hash from audit_head`.execute(
          em.getKysely(),
        );
        const claimed = { seq: Number(rows[0]?.seq), hash: some(rows[0]).hash.toString("hex") };
        const entries = await open(inside).trail.entries(0, 100_000);
        found = await verifyAudit(
          (async function* () {
            yield* entries;
          })(),
          { claimed: async () => claimed },
        );
        throw undone;
      })
      .catch(error => {
        if (error !== undone) throw error;
      });
    return some(found);
  }

  test.each([
    ["at", "at + interval '1 millisecond'"],
    ["action", "'FILE_UPDATED'"],
    ["outcome", "'FAILED'"],
    ["file_id", "gen_random_uuid()"],
    ["file_hash", "sha256('x')"],
    ["bucket_id", "77"],
    ["actor", "'eve'"],
    ["actor (to none)", "null"],
    ["client_ip", "'203.0.113.9'"],
    ["request_id", "'other'"],
    ["code", "'LINK_EXPIRED'"],
    ["count", "count + 1"],
    ["previous", "sha256('y')"],
    ["hash", "sha256('z')"],
  ])("that %s was altered", async (column, value) => {
    await whole();
    const name = column.split(" ")[0];
    expect(await afterwards(`update audit_events set ${name} = ${value} where seq = 5`)).toMatchObject({
      isWhole: false,
      seq: 5,
    });
  });

  // Numbers move by way of numbers far off: rows do not lie in order once vacuum has run, and the key is unique at once.
  test.each([
    ["that an entry was deleted", "delete from audit_events where seq = 5", 5],
    ["that the first was deleted", "delete from audit_events where seq = 1", 1],
    ["that the middle was cut out", "delete from audit_events where seq between 5 and 300", 5],
    ["that the newest were deleted", "delete from audit_events where seq > 100", 101],
    ["that all were deleted", "delete from audit_events", 1],
    [
      "that entries changed places",
      "update audit_events set seq = 999999 where seq = 5; update audit_events set seq = 5 where seq = 60; update audit_events set seq = 60 where seq = 999999",
      5,
    ],
    [
      "that the rest was shifted over a gap",
      "delete from audit_events where seq = 5; update audit_events set seq = seq + 1000000 where seq > 5; update audit_events set seq = seq - 1000001 where seq > 5",
      5,
    ],
    [
      "that an entry was put in between",
      "update audit_events set seq = seq + 1000000 where seq >= 5; update audit_events set seq = seq - 999999 where seq > 1000000; insert into audit_events select 5, at, action, outcome, file_id, file_hash, bucket_id, actor, client_ip, request_id, code, count, previous, hash from audit_events where seq = 4",
      5,
    ],
  ])("%s", async (_what, statement, seq) => {
    await whole();
    expect(await afterwards(...statement.split("; "))).toMatchObject({ isWhole: false, seq });
  });
});
