/**
 * Pages of a list sorted by two columns, found by their keys: the tenth-thousandth page costs what the first does, and
 * rows that come or go meanwhile shift nothing.
 */
import type { EntityName, FilterQuery, QueryOrderMap } from "@mikro-orm/core";
import type { EntityManager } from "@mikro-orm/postgresql";
import { VaultError } from "../core/errors.js";
import type { Page, PageRequest } from "../core/catalogue.js";

/** The values of the two columns that place a row, as a cursor holds them. */
export type Key = readonly [first: string | number, second: string | number];

export interface Keyset<Row extends object, Node> {
  readonly entity: EntityName<Row>;
  readonly where: FilterQuery<NoInfer<Row>>;
  /** Together unique, and covered by an index. Both ascend or both descend. */
  readonly columns: readonly [keyof Row & string, keyof Row & string];
  readonly direction: "asc" | "desc";
  readonly keyOf: (row: Row) => Key;
  /** What a key's text looks like; anything else is no cursor of this list. */
  readonly keyPattern: RegExp;
  /** The column values of a key. */
  readonly valuesOf: (first: string, second: string) => readonly [unknown, unknown];
  readonly toNode: (row: Row) => Node;
}

/** Reads one page. Throws BAD_REQUEST for a cursor that is not of this list. */
export async function readPage<Row extends object, Node>(
  em: EntityManager,
  list: Keyset<Row, Node>,
  { limit, after, before, backward }: PageRequest,
): Promise<Page<Node>> {
  const later = list.direction === "asc" ? "$gt" : "$lt";
  const earlier = list.direction === "asc" ? "$lt" : "$gt";
  const bounds = [
    list.where,
    ...(after === null ? [] : [beyond(list, later, after)]),
    ...(before === null ? [] : [beyond(list, earlier, before)]),
  ];
  const order = backward ? opposite(list.direction) : list.direction;
  const where = { $and: bounds } as FilterQuery<NoInfer<Row>>;
  const orderBy = list.columns.map(column => ({ [column]: order })) as QueryOrderMap<Row>[];
  // One more than asked for tells whether the list goes on.
  const found = await em.find(list.entity, where, { orderBy, limit: limit + 1, disableIdentityMap: true });
  const goesOn = found.length > limit;
  const rows = (found as Row[]).slice(0, limit);
  if (backward) rows.reverse();
  return {
    entries: rows.map(row => ({ cursor: encode(list.keyOf(row)), node: list.toNode(row) })),
    hasPrevious: after !== null || (backward && goesOn),
    hasNext: before !== null || (!backward && goesOn),
    totalCount: await em.count(list.entity, list.where),
  };
}

function opposite(direction: "asc" | "desc"): "asc" | "desc" {
  return direction === "asc" ? "desc" : "asc";
}

/** (first, second) beyond the cursor's, written so that PostgreSQL sees a range of the index in it. */
function beyond<Row extends object, Node>(list: Keyset<Row, Node>, side: "$lt" | "$gt", cursor: string) {
  const [first, second] = list.columns;
  const [firstValue, secondValue] = decode(list, cursor);
  const bound: Record<string, unknown> = {
    [first]: { [`${side}e`]: firstValue },
    $or: [{ [first]: { [side]: firstValue } }, { [second]: { [side]: secondValue } }],
  };
  return bound as FilterQuery<NoInfer<Row>>; // the columns are only known as strings here
}

function encode(key: Key): string {
  return Buffer.from(key.join(" ")).toString("base64url");
}

/** Nothing of a cursor reaches a query unless it looks like a key of this list. */
function decode<Row extends object, Node>(
  list: Keyset<Row, Node>,
  cursor: string,
): readonly [unknown, unknown] {
  const [, first, second] = list.keyPattern.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (first === undefined || second === undefined)
    throw new VaultError("BAD_REQUEST", "not a cursor of this list");
  return list.valuesOf(first, second);
}
