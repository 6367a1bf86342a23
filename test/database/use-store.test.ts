import { describe, expect, test } from "@jest/globals";
import type { Grant, StoredFile } from "../../src/core/model.js";
import { endingFiles, newLink as linkOf, newFile, newGrant, run, some, stores, times } from "./fixture.js";

const s = stores();
const BEGUN = "begun";

async function newLink(change: Partial<Grant> = {}, file?: StoredFile): Promise<Grant> {
  return linkOf(s, (file ?? (await newFile(s))).id, change);
}

const count = (results: readonly string[], one: string) => results.filter(result => result === one).length;
const fileOf = async ({ fileId }: Grant) => some(await s.files.find({ id: fileId }));
const reread = async ({ id }: Grant) => some(await s.grants.find({ id, kind: "link" }));

describe("a link of one use", () => {
  test("is begun by exactly one of 50 who start at byte 0", async () => {
    const link = await newLink({ maxUses: 1 });
    const uses = await times(50, () => s.uses.begin(link.id, 0));
    expect([count(uses, BEGUN), count(uses, "refused")]).toEqual([1, 49]);
    expect((await fileOf(link)).downloadCount).toBe(1);
  });

  test("is begun by exactly one of 50 who start in the middle; the others continue it", async () => {
    const link = await newLink({ maxUses: 1 });
    const uses = await times(50, () => s.uses.begin(link.id, 5));
    expect([count(uses, BEGUN), count(uses, "continued")]).toEqual([1, 49]);
  });

  test("can be continued until its last byte is delivered, and not after", async () => {
    const link = await newLink({ maxUses: 1 });
    expect(await s.uses.begin(link.id, 0)).toBe(BEGUN);
    expect(await s.uses.begin(link.id, 100)).toBe("continued");
    expect(await s.uses.begin(link.id, 0)).toBe("refused");
    await s.uses.end(link.id);
    expect(await s.uses.begin(link.id, 100)).toBe("refused");
    await s.uses.end(link.id); // ends no more than have begun
    expect((await reread(link)).useCount).toBe(1);
  });
});

test("a link without a limit is begun again and again", async () => {
  const link = await newLink();
  expect(await times(20, () => s.uses.begin(link.id, 0))).toEqual(Array(20).fill(BEGUN));
  expect((await fileOf(link)).downloadCount).toBe(20);
});

test("expired, revoked, unknown and other grants are refused", async () => {
  const expired = await newLink({ expiresAt: new Date(Date.now() - 1000) });
  expect(expired.isExpired).toBe(true);
  const revoked = await newLink();
  await run(
    s,
    `update grants set revoked_at = now() where id = '\\x${Buffer.from(revoked.id).toString("hex")}'`,
  );
  const password = some(await s.grants.find({ passwordOf: revoked.fileId }));
  for (const id of [expired.id, revoked.id, password.id, newGrant("", "link").id]) {
    expect(await s.uses.begin(id, 0)).toBe("refused");
    expect(await s.uses.begin(id, 1)).toBe("refused");
  }
});

describe("a file of seven downloads", () => {
  test("lets exactly seven of 50 links begin, and the others keep their uses", async () => {
    const file = await newFile(s, 1, { maxDownloads: 7 });
    const links = await times(50, () => newLink({ maxUses: 1 }, file));
    const uses = await Promise.all(links.map(link => s.uses.begin(link.id, 0)));
    expect([count(uses, BEGUN), count(uses, "exhausted")]).toEqual([7, 43]);
    const used = await Promise.all(links.map(reread));
    expect(used.filter(link => link.useCount === 1)).toHaveLength(7);
    expect((await s.files.find({ id: file.id }))?.downloadCount).toBe(7);
  });

  test("is over when the last of those under way has ended, and not before", async () => {
    const file = await newFile(s, 1, { maxDownloads: 7 });
    const soon = new Date(Date.now() + 60_000);
    const links = await times(7, () => newLink({ expiresAt: soon }, file));
    for (const [i, link] of links.entries()) {
      expect(await s.files.shred(file.id, "over")).toBe(false);
      await s.uses.begin(link.id, 0);
      if (i > 0) expect(await s.uses.end(some(links[i - 1]).id)).toBe(i === 6);
    }
    expect(await endingFiles(s)).not.toContain(file.id);
    expect(await s.files.shred(file.id, "over")).toBe(false);
    expect(await s.uses.end(some(links[6]).id)).toBe(true);
    expect(await endingFiles(s)).toContain(file.id);
    expect(await s.files.shred(file.id, "over")).toBe(true);
  });
});

test("a last download that was never delivered holds its file until a day after its link", async () => {
  const file = await newFile(s, 1, { maxDownloads: 1 });
  const link = await newLink({ expiresAt: new Date(Date.now() + 60_000) }, file);
  await s.uses.begin(link.id, 0);
  const age = (hours: number) =>
    run(s, `update grants set expires_at = now() - interval '${hours} hours' where file_id = '${file.id}'`);
  await age(23);
  expect(await endingFiles(s)).not.toContain(file.id);
  await age(25);
  expect(await endingFiles(s)).toContain(file.id);
});

test.each([
  // what is true of the file        begin        over
  ["expires_at = now()", "exhausted", true],
  ["expires_at = now(), retain_until = now() + interval '1 hour'", BEGUN, false],
  ["expires_at = now(), retain_until = now()", "exhausted", true],
  ["max_downloads = 1, download_count = 1", "exhausted", true],
  ["max_downloads = 1, download_count = 1, retain_until = now() + interval '1 hour'", "exhausted", false],
  ["status = 'gone', gone_at = now(), meta = null", "exhausted", true],
  ["max_downloads = 2, download_count = 1, expires_at = now() + interval '1 hour'", BEGUN, false],
])("a file with %s: a download is %s, and it is over: %s", async (change, use, isOver) => {
  const link = await newLink();
  await run(s, `update files set ${change} where id = '${link.fileId}'`);
  expect((await endingFiles(s)).includes(link.fileId)).toBe(isOver);
  expect(await s.uses.begin(link.id, 0)).toBe(use);
  expect(await s.files.shred(link.fileId, "over")).toBe(isOver);
});
