/** Relay connections, which also have `nodes`, over the pages of the catalogue. */
import type { ClassType } from "type-graphql";
import { Field, Int, ObjectType } from "type-graphql";
import type { Page, PageRequest } from "../../core/catalogue.js";
import { badRequest } from "../errors.js";

const MAX_PAGE = 100;

const TOTAL_COUNT =
  "Of the whole list, counted when asked for, and no further than 100000: that number stands for all above it.";

@ObjectType("PageInfo", { description: "Relay page information." })
export class PageInfo {
  @Field(() => Boolean) hasNextPage!: boolean;
  @Field(() => Boolean) hasPreviousPage!: boolean;
  @Field(() => String, { nullable: true }) startCursor!: string | null;
  @Field(() => String, { nullable: true }) endCursor!: string | null;
}

export interface Edge<T> {
  readonly cursor: string;
  readonly node: T;
}

export interface Connection<T> {
  readonly edges: readonly Edge<T>[];
  readonly nodes: readonly T[];
  readonly pageInfo: PageInfo;
  /** A getter: it is read only where it is asked for. */
  readonly totalCount: number | Promise<number>;
}

/** The connection type of a node type: `FileConnection` with its `FileEdge`. */
export function connectionType<T extends object>(
  name: string,
  nodeType: () => ClassType<T>,
): ClassType<Connection<T>> {
  @ObjectType(`${name}Edge`)
  class EdgeType implements Edge<T> {
    @Field(() => String) cursor!: string;
    @Field(nodeType) node!: T;
  }
  @ObjectType(`${name}Connection`)
  class ConnectionType implements Connection<T> {
    @Field(() => [EdgeType]) edges!: EdgeType[];
    @Field(() => [nodeType()]) nodes!: T[];
    @Field(() => PageInfo) pageInfo!: PageInfo;
    @Field(() => Int, { description: TOTAL_COUNT }) totalCount!: number | Promise<number>;
  }
  return ConnectionType;
}

export interface PageArgs {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/** Throws BAD_REQUEST for a page that is too long. `last` goes before `first`, which has a default. */
export function pageOf({ first, after, last, before }: PageArgs, defaultLimit: number): PageRequest {
  const backward = last !== null && last !== undefined;
  const limit = backward ? last : (first ?? defaultLimit);
  if (limit < 1 || limit > MAX_PAGE) {
    throw badRequest(`A page has from 1 to ${MAX_PAGE} entries.`, backward ? "last" : "first");
  }
  return { limit, after: after ?? null, before: before ?? null, backward };
}

export function connectionOf<S, T>(page: Page<S>, view: (node: S) => T): Connection<T> {
  const edges = page.entries.map(({ cursor, node }) => ({ cursor, node: view(node) }));
  const pageInfo = {
    hasNextPage: page.hasNext,
    hasPreviousPage: page.hasPrevious,
    startCursor: edges.at(0)?.cursor ?? null,
    endCursor: edges.at(-1)?.cursor ?? null,
  };
  return {
    edges,
    nodes: edges.map(({ node }) => node),
    pageInfo,
    get totalCount() {
      return page.totalCount();
    },
  };
}

/** What of a filter was given: GraphQL says null for what was not, core leaves it out. */
export function given<T extends object>(input: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value != null)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
