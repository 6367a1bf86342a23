import { describe, expect, test } from "@jest/globals";
import type { Page } from "../../src/core/catalogue.js";
import type { Grant } from "../../src/core/model.js";
import { newFile, newLink, newUpload, run, some, stores } from "./fixture.js";

const s = stores();
const FIRST = { limit: 100, after: null, before: null, backward: false };
const idOf = ({ id }: Pick<Grant, "id">) => Buffer.from(id).toString("hex");

/** A file with so many links, and their ids, newest first. */
async function linked(count: number): Promise<{ id: string; links: string[] }> {
  const { id } = await newFile(s);
  const links: Grant[] = [];
  for (let i = 0; i < count; i++) links.push(await newLink(s, id));
  return { id, links: links.reverse().map(idOf) };
}

async function pagesOf(fileId: string, limit: number): Promise<string[]> {
  const ids: string[] = [];
  for (let after: string | null = null; ; ) {
    const page: Page<Grant> = some((await s.linkCatalogue.pages([fileId], { ...FIRST, limit, after }))[0]);
    ids.push(...page.entries.map(({ node }) => idOf(node)));
    if (!page.hasNext) return ids;
    after = some(page.entries.at(-1)).cursor;
  }
}

describe("the links of a file", () => {
  test("come newest first, each once, in pages of any size, also those of one millisecond", async () => {
    const { id, links } = await linked(7);
    for (const limit of [1, 3, 7, 8]) expect(await pagesOf(id, limit)).toEqual(links);
    await run(s, `update grants set created_at = '2026-01-01' where file_id = '${id}'`);
    for (const limit of [1, 3, 7]) expect(await pagesOf(id, limit)).toEqual([...links].sort().reverse());
  });

  test("are read for many files at once, in the order of the files, and counted", async () => {
    const [none, few, many] = [await linked(0), await linked(2), await linked(5)];
    const unknown = newUpload().id;
    const files = [many.id, unknown, none.id, few.id];
    const pages = await s.linkCatalogue.pages(files, { ...FIRST, limit: 3 });
    const ids = pages.map(page => page.entries.map(({ node }) => idOf(node)));
    expect(ids).toEqual([many.links.slice(0, 3), [], [], few.links]);
    expect(pages.map(page => page.hasNext)).toEqual([true, false, false, false]);
    expect(await Promise.all(pages.map(page => page.totalCount()))).toEqual([5, 0, 0, 2]);
  });

  test("are read backward too", async () => {
    const { id, links } = await linked(4);
    const last = some((await s.linkCatalogue.pages([id], { ...FIRST, limit: 2, backward: true }))[0]);
    expect(last.entries.map(({ node }) => idOf(node))).toEqual(links.slice(2));
    const before = some(last.entries[0]).cursor;
    const rest = some((await s.linkCatalogue.pages([id], { ...FIRST, before, backward: true }))[0]);
    expect(rest.entries.map(({ node }) => idOf(node))).toEqual(links.slice(0, 2));
  });

  test("take no cursor of another file, or of none", async () => {
    const [one, other] = [await linked(2), await linked(2)];
    const after = some((await s.linkCatalogue.pages([one.id], FIRST))[0]?.entries[0]).cursor;
    for (const [file, cursor] of [
      [other.id, after],
      [one.id, "x"],
    ] as const) {
      const reading = s.linkCatalogue.pages([file], { ...FIRST, after: cursor });
      await expect(reading).rejects.toMatchObject({ code: "BAD_REQUEST" });
    }
  });
});
