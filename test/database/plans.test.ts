/** That no list is sorted or counted as a whole, however long it is: what PostgreSQL itself means to do. */
import { beforeAll, describe, expect, test } from "@jest/globals";
import type { FileOrder, PageRequest } from "../../src/core/catalogue.js";
import { statementsOf } from "../support/statements.js";
import { run, some, stores } from "./fixture.js";

const s = stores();
const FILE_COUNT = 20_000;
const STRIPE_COUNT = 5_000;
const LARGE = "00000000-0000-4000-8000-000000000001";
/** Of all rows: an incremental one of neighbours that come nearly in order is none. */
const SORT = /(?:^|-> {2})Sort\b/m;
const PAGE: PageRequest = { limit: 20, after: null, before: null, backward: false };

beforeAll(async () => {
  await run(
    s,
    `insert into files (id, hash, core, seal, plain_bytes, data_chunks, parity_chunks, created_at, expires_at, download_count)
    select gen_random_uuid(), sha256(int4send(i)), '', sha256(''), i % 1000, 2, 1, now() - make_interval(secs => i),
      case when i % 3 = 0 then now() + make_interval(days => 1, secs => i) end, i % 50
    from generate_series(1, ${FILE_COUNT}) i`,
  );
  await run(
    s,
    `insert into chunks (file_id, stripe, shard, bucket_id, object_key, stored_bytes, digest)
    select '${LARGE}', i / 3, i % 3, 1 + (i / 3 + i % 3) % 6, gen_random_uuid(), 1024, sha256('')
    from generate_series(0, ${3 * STRIPE_COUNT - 1}) i`,
  );
  await run(s, "analyze files");
  await run(s, "analyze chunks");
});

/** The plans of the statements that `act` sends. */
async function plansOf(act: () => Promise<unknown>): Promise<string> {
  const pool = await s.database.pool();
  const plans: string[] = [];
  for (const { text, values } of await statementsOf(act)) {
    const { rows } = await pool.query(`explain ${text}`, [...values]);
    plans.push(rows.map(row => row["QUERY PLAN"]).join("\n"));
  }
  return plans.join("\n\n");
}

describe("a page of files", () => {
  test.each([
    ["createdAt", "files_newest"],
    ["expiresAt", "files_by_expiry"],
    ["size", "files_by_size"],
    ["downloadCount", "files_by_downloads"],
  ] as const)("by %s is read along the index %s, from its cursor on, both ways", async (field, index) => {
    for (const direction of ["asc", "desc"] as const) {
      for (const backward of [false, true]) {
        const order: FileOrder = { field, direction };
        const page = { ...PAGE, backward };
        const { entries } = await s.catalogue.files(page, {}, order);
        const first = await plansOf(() => s.catalogue.files(page, {}, order));
        expect(first).toContain(`${index} on files`);
        expect(first).not.toMatch(SORT);
        const { cursor } = some(entries.at(10));
        const next = { ...page, ...(backward ? { before: cursor } : { after: cursor }) };
        const later = await plansOf(() => s.catalogue.files(next, {}, order));
        expect(later).toMatch(new RegExp(`${index} on files[^\n]*\n +Index Cond: \\(ROW\\(`));
        expect(later).not.toMatch(SORT);
      }
    }
  });

  test("is not counted unless somebody asks, and then not beyond the bound", async () => {
    const statements = await statementsOf(() =>
      s.catalogue.files(PAGE, {}, { field: "size", direction: "asc" }),
    );
    expect(statements).toHaveLength(1);
    const { totalCount } = await s.catalogue.files(PAGE, {}, { field: "size", direction: "asc" });
    expect(await totalCount()).toBe(FILE_COUNT);
    const [counting] = await statementsOf(totalCount);
    expect(`${counting?.text} ${counting?.values.join(" ")}`).toMatch(/\b100000\b/);
  });

  test("of the files in a bucket looks each file up in an index of the chunk map", async () => {
    const plan = await plansOf(() =>
      s.catalogue.files(PAGE, { bucketId: 1 }, { field: "createdAt", direction: "desc" }),
    );
    expect(plan).toContain("files_newest on files");
    expect(plan).not.toMatch(SORT);
  });
});

describe("a chunk map", () => {
  const file = { id: LARGE, parity: { dataChunks: 2, parityChunks: 1 } };
  const pages = (page: PageRequest, filter = {}) => s.chunkCatalogue.pages([file], page, filter);

  test("is read along an index from its cursor on, without a sort of the map", async () => {
    const { cursor } = some(some((await pages({ ...PAGE, limit: 100 }))[0]).entries.at(-1));
    for (const filter of [{}, { bucketId: 2 }, { kind: "parity" }] as const) {
      const plan = await plansOf(() => pages({ ...PAGE, after: cursor }, filter));
      // The sort at the top is of the pages of several files; none is within what is read of one.
      const below = plan.slice(plan.indexOf("Limit"));
      expect(below).toMatch(/Index Cond: .*ROW\(/);
      expect(below).not.toMatch(SORT);
    }
  });

  test("with no chunk that is not well answers from the index of those alone", async () => {
    expect(await plansOf(() => pages(PAGE, { state: ["missing", "corrupt"] }))).toMatch(
      /chunks_\d+_file_id_stripe_shard_idx/,
    );
  });
});
