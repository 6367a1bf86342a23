/**
 * Statements that requests run again and again are parsed once for each connection, and planned once where PostgreSQL finds
 * one plan good enough for all values: planning a short statement takes it longer than running it. Only statements whose text
 * is the same at every call, and whose columns are named one by one: PostgreSQL refuses a prepared `select *` as soon as
 * another replica's migration has added a column.
 */
import type { EntityManager } from "@mikro-orm/postgresql";
import type { RawBuilder } from "kysely";
import pg from "pg";

/** By their texts. A few dozen: each has its place in this folder. */
const names = new Map<string, string>();

/** The rows of `statement`, within the caller's transaction if there is one. */
export async function runPrepared<Row>(
  em: EntityManager,
  statement: RawBuilder<Row>,
): Promise<readonly Row[]> {
  const db = em.getKysely();
  const compiled = statement.compile(db);
  if (!names.has(compiled.sql)) names.set(compiled.sql, `scattervault_${names.size}`);
  return (await db.executeQuery(compiled)).rows;
}

/**
 * A connection that prepares what {@link runPrepared} runs. Kysely has no place for a statement's name, pg prepares what
 * has one (https://node-postgres.com/features/queries#prepared-statements).
 */
export class PreparingClient extends pg.Client {
  /** `never`: whatever the overload that was called returns. */
  override query(first: unknown, ...rest: readonly unknown[]): never {
    const query = super.query.bind(this) as (...args: readonly unknown[]) => never;
    const name = typeof first === "string" ? names.get(first) : undefined;
    if (name === undefined) return query(first, ...rest);
    const [values, ...others] = rest;
    return query({ name, text: first, values }, ...others);
  }
}
