import { describe, expect, test } from "@jest/globals";
import { sql } from "kysely";
import { MIGRATIONS } from "../../src/database/migrations/list.js";
import type { Database } from "../../src/database/orm.js";
import { isMigrated, isUnavailable, migrate, openDatabase } from "../../src/database/orm.js";
import { createDatabase } from "../support/database.js";
import { silent } from "../support/log.js";
import { until } from "../support/until.js";
import { stores, times } from "./fixture.js";

const s = stores({ poolSize: 4 });

describe("migrations", () => {
  test("have made every column that the entities name", async () => {
    for (const meta of s.database.em().getMetadata().getAll().values()) {
      await s.database.em().find(meta.class, {}, { limit: 1 });
    }
  });

  test("run once when three replicas start at once, and then have nothing to do", async () => {
    const empty = await createDatabase({ template: "template0" });
    const applied: unknown[] = [];
    const log = { ...silent, info: (_: string, facts?: object) => applied.push(facts) };
    const replicas = await times(3, () => openDatabase({ url: empty.url, poolSize: 1, log: silent }));
    expect(await isMigrated(replicas[0] as Database)).toBe(false);
    await Promise.all(replicas.map(replica => migrate(replica, log)));
    expect(applied).toEqual(MIGRATIONS.map(({ name }) => ({ name })));
    for (const replica of replicas) expect(await isMigrated(replica)).toBe(true);
    await Promise.all(replicas.map(replica => replica.close()));
    await empty.drop();
  });

  test("spread the chunk map over 16 partitions", async () => {
    const { rows } = await sql<{ count: string }>`
      select count(*) from pg_inherits where inhparent = 'chunks'::regclass`.execute(
      s.database.em().getKysely(),
    );
    expect(rows[0]?.count).toBe("16");
  });
});

describe("a lost connection", () => {
  const cutAll = () =>
    sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`.execute(s.database.em().getKysely());

  const hasNoDead = async () => (await s.database.pool()).totalCount <= 1; // the one that has cut the others
  const sleeping = async () => {
    const asked = sql<{ count: string }>`select count(*) from pg_stat_activity
      where datname = current_database() and state = 'active' and query like '%pg_sleep(5)%' and pid <> pg_backend_pid()`;
    return Number((await asked.execute(s.database.em().getKysely())).rows[0]?.count);
  };

  test("of the idle pool costs no query", async () => {
    await times(4, () => sql`select pg_sleep(0.05)`.execute(s.database.em().getKysely()));
    await cutAll();
    await until(hasNoDead);
    await times(10, () => s.database.ping());
  });

  test("rejects what was under way as unavailable, in a transaction too, and the next query works", async () => {
    const slow = sql`select pg_sleep(5)`
      .execute(s.database.em().getKysely())
      .catch((error: unknown) => error);
    const inTransaction = s.database
      .transaction(em => sql`select pg_sleep(5)`.execute(em.getKysely()))
      .catch((error: unknown) => error);
    await until(async () => (await sleeping()) === 2);
    await cutAll();
    expect(isUnavailable(await slow)).toBe(true);
    expect(isUnavailable(await inTransaction)).toBe(true);
    await until(hasNoDead);
    await times(10, () => s.database.ping());
  });

  test("costs the pool nothing, however often it happens in transactions", async () => {
    for (let round = 0; round < 6; round++) {
      const cut = () =>
        s.database.transaction(async em => {
          await sql`select pg_terminate_backend(pg_backend_pid())`.execute(em.getKysely());
        });
      expect((await Promise.allSettled([cut(), cut()])).map(({ status }) => status)).toEqual([
        "rejected",
        "rejected",
      ]);
    }
    expect(await times(4, async () => s.database.transaction(async () => true))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect((await s.database.pool()).totalCount).toBeLessThanOrEqual(4);
  });

  test.each([
    ["nobody listens on the port", "postgres://app@127.0.0.1:1/app"],
    ["there is no socket", "postgres://app@%2Fnowhere/app"],
    ["the host has no address", "postgres://app@nowhere.invalid/app"],
  ])("is told apart: %s", async (_, url) => {
    const database = await openDatabase({ url, poolSize: 1, log: silent });
    const error = await database.ping().catch((reason: unknown) => reason);
    expect(isUnavailable(error)).toBe(true);
    await database.close();
  });

  test("is not what a wrong statement is, nor a missing file", async () => {
    const wrong = await sql`select wrong`
      .execute(s.database.em().getKysely())
      .catch((error: unknown) => error);
    expect(isUnavailable(wrong)).toBe(false);
    expect(isUnavailable(Object.assign(new Error("no file"), { code: "ENOENT", syscall: "open" }))).toBe(
      false,
    );
    expect(isUnavailable(new Error("outer", { cause: Object.assign(new Error(), { code: "57P01" }) }))).toBe(
      true,
    );
    expect(isUnavailable(null)).toBe(false);
  });
});
