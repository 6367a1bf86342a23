/** From what PostgreSQL returns to what core understands. */
import type { RawBuilder } from "kysely";
import { sql } from "kysely";
import type { ObjectKey, ObjectRef } from "../core/model.js";

/** A bigint column. Beyond 2^53 a number would be silently wrong, so that is a bug here, not a value. */
export function integer(value: number | string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new RangeError(`the database holds ${value}, which is no safe integer`);
  return number;
}

/** A timestamptz column: a date where MikroORM has read it, else PostgreSQL's text. */
export function date(value: Date | string): Date {
  return new Date(value);
}

/** Bytes of their own: pg's are slices of a shared pool, which must not be handed to a worker. */
export function bytes(value: Uint8Array): Uint8Array {
  return new Uint8Array(value);
}

export function hex(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}

/** PostgreSQL takes 32 hex digits as a uuid and gives them back with hyphens. */
export function objectKey(uuid: string): ObjectKey {
  return uuid.replaceAll("-", "");
}

type Formula = (columns: never, table: never) => unknown;

interface Table {
  readonly meta: {
    readonly properties: Readonly<Record<string, { readonly formula?: Formula | undefined }>>;
  };
}

/** All of `table` in its rows `alias`, column by column (prepared.ts tells why), and what the database's clock decides. */
export function allColumns(table: Table, alias: string): RawBuilder<unknown> {
  return sql.join(
    Object.entries(table.meta.properties).map(([name, { formula }]) => {
      const column = name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
      if (!formula) return sql.ref(`${alias}.${column}`);
      const of = alias as never; // MikroORM gives objects that read as the alias, and our formulas use nothing else of them
      return sql`${sql.raw(String(formula(of, of)))} as ${sql.ref(column)}`;
    }),
  );
}

/**
 * A row of a statement of ours by the names that MikroORM has for its columns, so that both are read by the same code. Where
 * a query is made for each request, building it and tracking what it found would cost more than the query.
 */
export function named<Row extends object>(row: object): Row {
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [camelCase(column), value])) as Row;
}

const camelCases = new Map<string, string>();

function camelCase(column: string): string {
  const known = camelCases.get(column);
  if (known !== undefined) return known;
  const name = column.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  camelCases.set(column, name);
  return name;
}

/** Has one row: for a part of a statement that depends on no other. */
export const ALWAYS = sql`(select) as always`;

export interface ObjectRow {
  readonly bucket_id: number;
  readonly object_key: string;
}

export function toObjectRef(row: ObjectRow): ObjectRef {
  return { bucketId: row.bucket_id, objectKey: objectKey(row.object_key) };
}

/** The objects as rows of a statement whose text is the same for any number of them. */
export function unnested(objects: readonly ObjectRef[], alias = "o"): RawBuilder<unknown> {
  const { bucketIds, objectKeys } = objectColumns(objects);
  return sql`unnest(${bucketIds}::smallint[], ${objectKeys}::uuid[]) as ${sql.ref(alias)} (bucket_id, object_key)`;
}

/** Two arrays for `unnest($1::smallint[], $2::uuid[])`: any number of rows in a statement of fixed text. */
export function objectColumns(objects: readonly ObjectRef[]): { bucketIds: number[]; objectKeys: string[] } {
  return { bucketIds: objects.map(o => o.bucketId), objectKeys: objects.map(o => o.objectKey) };
}
