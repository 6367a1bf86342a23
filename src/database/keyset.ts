/**
 * Pages of a list sorted by two keys, found by their values: the tenth-thousandth page costs what the first does, and
 * rows that come or go meanwhile shift nothing.
 */
import type { EntityName, FilterQuery, QueryOrderMap } from "@mikro-orm/core";
import type { EntityManager } from "@mikro-orm/postgresql";
import { raw } from "@mikro-orm/postgresql";
import { VaultError } from "../core/errors.js";
import type { Page, PageRequest } from "../core/catalogue.js";

/** Counting stops here: a list may have more rows than one wants to walk over for a number. */
export const MAX_COUNT = 100_000;

/** The two values that place a row, as a cursor holds them and as SQL takes them. */
export type Key = readonly [first: string | number, second: string | number];

/** The cursors of one list in one order; those of another are refused. */
export interface Cursors {
  readonly name: string;
  /** What a key's text looks like: two groups. Nothing else reaches a query. */
  readonly keyPattern: RegExp;
}

export interface Keyset<Row extends object, Node> extends Cursors {
  readonly entity: EntityName<Row>;
  readonly where: FilterQuery<NoInfer<Row>>;
  /** SQL of the two keys over the table's alias: together unique, not null, and the columns of an index in this order. */
  readonly keys: (alias: string) => readonly [string, string];
  /** Of both keys. */
  readonly direction: "asc" | "desc";
  readonly keyOf: (row: Row) => Key;
  /** The values of a key that was read out of a cursor; as they are, where it is left out. */
  readonly valuesOf?: (key: readonly [string, string]) => Key;
  readonly toNode: (row: Row) => Node;
}

/** Reads one page. Throws BAD_REQUEST for a cursor that is not of this list in this order. */
export async function readPage<Row extends object, Node>(
  em: EntityManager,
  list: Keyset<Row, Node>,
  page: PageRequest,
): Promise<Page<Node>> {
  const { limit, after, before, backward } = page;
  const isAscending = list.direction === "asc";
  const bounds = [
    list.where,
    ...(after === null ? [] : [beyond(list, isAscending ? ">" : "<", after)]),
    ...(before === null ? [] : [beyond(list, isAscending ? "<" : ">", before)]),
  ];
  const order = isAscending === backward ? "desc" : "asc";
  const where = { $and: bounds } as FilterQuery<NoInfer<Row>>;
  const orderBy = [0, 1].map(at => ({
    [raw(alias => list.keys(alias)[at] ?? "")]: order,
  })) as QueryOrderMap<Row>[];
  // One more than asked for tells whether the list goes on.
  const found = await em.find(list.entity, where, { orderBy, limit: limit + 1, disableIdentityMap: true });
  const entries = (found as Row[]).map(row => ({
    cursor: encodeCursor(list, list.keyOf(row)),
    node: list.toNode(row),
  }));
  return pageOf(entries, page, () => countUpTo(em, list));
}

/** The page out of the entries found in its direction, one more than asked for where the list goes on. */
export function pageOf<Node>(
  found: Page<Node>["entries"],
  { limit, after, before, backward }: PageRequest,
  totalCount: () => Promise<number>,
): Page<Node> {
  const goesOn = found.length > limit;
  const entries = found.slice(0, limit);
  return {
    entries: backward ? entries.reverse() : entries,
    hasPrevious: after !== null || (backward && goesOn),
    hasNext: before !== null || (!backward && goesOn),
    totalCount,
  };
}

export function encodeCursor({ name }: Cursors, key: Key): string {
  return Buffer.from([name, ...key].join(" ")).toString("base64url");
}

/** Throws BAD_REQUEST. */
export function decodeCursor({ name, keyPattern }: Cursors, cursor: string): readonly [string, string] {
  const text = Buffer.from(cursor, "base64url").toString();
  const isOurs = text.startsWith(`${name} `) && Buffer.from(text).toString("base64url") === cursor;
  const [, first, second] = (isOurs && keyPattern.exec(text.slice(name.length + 1))) || [];
  if (first === undefined || second === undefined) {
    const reason = "A cursor belongs to one list in one order: this is of another, or none.";
    throw new VaultError("BAD_REQUEST", "not a cursor of this list", { facts: { reason } });
  }
  return [first, second];
}

/** A row comparison, which PostgreSQL reads as a range of the index. */
function beyond<Row extends object, Node>(
  list: Keyset<Row, Node>,
  side: "<" | ">",
  cursor: string,
): FilterQuery<NoInfer<Row>> {
  const key = decodeCursor(list, cursor);
  const values = list.valuesOf?.(key) ?? key;
  const condition = raw(alias => `(${list.keys(alias).join(", ")}) ${side} (?, ?)`, [...values]);
  return { [condition]: [] } as FilterQuery<NoInfer<Row>>;
}

async function countUpTo<Row extends object, Node>(
  em: EntityManager,
  list: Keyset<Row, Node>,
): Promise<number> {
  // The query builder resolves no type parameter; what it reads here has no type to lose.
  const entity = list.entity as unknown as EntityName<object>;
  const listed = em
    .createQueryBuilder(entity, "listed")
    .select(raw("1 as one"))
    .where(list.where as FilterQuery<object>)
    .limit(MAX_COUNT);
  const rows = await em
    .createQueryBuilder(listed, "counted")
    .select(raw("count(*) as count"))
    .execute<{ count: string }[]>();
  return Number(rows[0]?.count);
}

/** Reads at the first call, and gives that to all others. */
export function once<T>(read: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => (answer ??= read());
}
