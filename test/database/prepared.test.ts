/** What each request asks of the database: how many statements it is, and that preparing them has no price. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { sql } from "kysely";
import { eventOf } from "../../src/core/auditor.js";
import type { Upload } from "../../src/core/model.js";
import { runPrepared } from "../../src/database/prepared.js";
import { statementsOf } from "../support/statements.js";
import {
  append,
  beginUpload,
  commitOf,
  finish,
  newChunk,
  newFile,
  newGrant,
  newUpload,
  run,
  some,
  stores,
} from "./fixture.js";

/** One connection, so that all of a test is on the same one. */
const s = stores({ poolSize: 1 });

const prepared = async () => {
  const { rows } = await sql<{ statement: string }>`select statement from pg_prepared_statements`.execute(
    s.database.em().getKysely(),
  );
  return rows.map(row => row.statement);
};

test("a statement is prepared once for its connection, whatever its values and in a transaction too", async () => {
  const doubled = (n: number) => sql<{ n: number }>`select ${n}::int * 2 as n`;
  expect(await runPrepared(s.database.em(), doubled(1))).toEqual([{ n: 2 }]);
  expect(await s.database.transaction(em => runPrepared(em, doubled(21)))).toEqual([{ n: 42 }]);
  expect((await prepared()).filter(text => text.includes("* 2"))).toHaveLength(1);
});

test("a statement that fails says why, and the next one works", async () => {
  const inverse = (n: number) => sql<{ n: number }>`select 1 / ${n}::int as n`;
  await expect(runPrepared(s.database.em(), inverse(0))).rejects.toThrow("division by zero");
  expect(await runPrepared(s.database.em(), inverse(1))).toEqual([{ n: 1 }]);
});

test("other statements are not kept", async () => {
  await sql`select ${"once"}::text as said`.execute(s.database.em().getKysely());
  expect((await prepared()).filter(text => text.includes("as said"))).toEqual([]);
});

/** What one file costs on its way in, step by step; `act` is given an upload that is ready for it. */
const STEPS: readonly (readonly [
  string,
  (upload: Upload, asked: ReturnType<typeof newUpload>) => Promise<unknown>,
])[] = [
  ["looking for an upload", (_, { tokenId }) => s.uploads.find(tokenId)],
  ["taking it over", ({ id }) => s.uploads.lease(id, { offset: 2000 })],
  ["reading its chunk map", ({ id }) => s.chunkMap.chunks(id, 0, 9)],
  ["reserving objects", ({ id, lease }) => s.chunkMap.reserve(id, lease, [newChunk(1, 0), newChunk(1, 1)])],
  ["looking for its password", ({ id }) => s.grants.find({ passwordOf: id })],
];

async function ready() {
  const asked = newUpload();
  await s.uploads.create(asked, [newGrant(asked.id, "password"), newGrant(asked.id, "upload")]);
  const upload = some(await s.uploads.lease(asked.id, { offset: 0 }));
  await append(
    s,
    commitOf(
      upload,
      2000,
      [0, 1, 2].map(shard => newChunk(0, shard)),
    ),
  );
  return { asked, upload: some(await s.uploads.find(asked.tokenId)) };
}

describe("the way in asks no more than it must", () => {
  test.each(STEPS)("%s: 1", async (_step, act) => {
    const { asked, upload } = await ready();
    expect(await statementsOf(() => act(upload, asked))).toHaveLength(1);
  });

  test("beginning an upload, with its grants and its place in the audit log: 1", async () => {
    const asked = newUpload();
    const grants = [newGrant(asked.id, "password"), newGrant(asked.id, "upload")];
    const event = eventOf({ action: "UPLOAD_CREATED", caller: null, fileId: asked.id });
    expect(await statementsOf(() => s.uploads.create(asked, grants, event))).toHaveLength(1);
  });

  test("committing chunks: 1 in a transaction", async () => {
    const { upload } = await ready();
    const chunks = [0, 1, 2].map(shard => newChunk(1, shard));
    await s.chunkMap.reserve(upload.id, upload.lease, chunks);
    const sent = await statementsOf(() => s.chunkMap.commit(commitOf(upload, 2000, chunks)));
    expect(sent.map(({ text }) => text.trim().split(/\s/)[0])).toEqual(["begin", "with", "commit"]);
  });

  test("finishing a file: 1 in a transaction", async () => {
    const { upload } = await ready();
    const sent = await statementsOf(() => finish(s, upload));
    expect(sent.map(({ text }) => text.trim().split(/\s/)[0])).toEqual(["begin", "with", "commit"]);
  });
});

test("another replica's migration that adds columns disturbs none of them", async () => {
  const all = async () => {
    const { asked, upload } = await ready();
    for (const [, act] of STEPS) await act(upload, asked);
    await finish(s, some(await s.uploads.find(asked.tokenId)));
    await s.files.find({ id: asked.id });
    await s.files.find({ hash: randomBytes(32).toString("hex") });
    await s.grants.find({ id: randomBytes(16), kind: "link" });
  };
  await all();
  for (const table of ["uploads", "files", "grants", "chunks", "pending_objects"])
    await run(s, `alter table ${table} add column later_${randomBytes(4).toString("hex")} int`);
  await all();
});

test("what a statement returns is what MikroORM reads of the same row", async () => {
  const file = await newFile(s);
  expect(await s.lookup.files({ ids: [file.id] })).toEqual([file]);
  const { wrap, ...upload } = await beginUpload(s, {
    length: 5_000,
    terms: { expiresInSeconds: 60, maxDownloads: 3 },
  });
  expect(await s.lookup.upload(upload.id)).toEqual(upload);
  expect(wrap).toBeNull(); // its grant has another token's id
});
