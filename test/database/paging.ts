/** Reads a list to its end, page by page, as a client does. */
import { expect } from "@jest/globals";
import type { Page, PageRequest } from "../../src/core/catalogue.js";
import { some } from "./fixture.js";

export const ALL: PageRequest = { limit: 1000, after: null, before: null, backward: false };

export type Read<T> = (page: PageRequest) => Promise<Page<T>>;

/** `between` runs between two pages. */
export async function forward<T>(
  read: Read<T>,
  limit: number,
  between?: () => Promise<unknown>,
): Promise<T[]> {
  const nodes: T[] = [];
  for (let after: string | null = null; ; ) {
    const page: Page<T> = await read({ limit, after, before: null, backward: false });
    nodes.push(...page.entries.map(entry => entry.node));
    expect(page.hasPrevious).toBe(after !== null);
    if (!page.hasNext) return nodes;
    expect(page.entries).toHaveLength(limit);
    after = some(page.entries.at(-1)).cursor;
    await between?.();
  }
}

/** In the order of the list, too. */
export async function backward<T>(
  read: Read<T>,
  limit: number,
  between?: () => Promise<unknown>,
): Promise<T[]> {
  const nodes: T[] = [];
  for (let before: string | null = null; ; ) {
    const page: Page<T> = await read({ limit, after: null, before, backward: true });
    nodes.unshift(...page.entries.map(entry => entry.node));
    expect(page.hasNext).toBe(before !== null);
    if (!page.hasPrevious) return nodes;
    expect(page.entries).toHaveLength(limit);
    before = some(page.entries[0]).cursor;
    await between?.();
  }
}
