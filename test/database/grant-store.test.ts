import { describe, expect, test } from "@jest/globals";
import { newFile, newGrant, newUpload, run, some, stores, times } from "./fixture.js";

const s = stores();

async function newLink(change: Parameters<typeof newGrant>[2] = {}) {
  const file = await newFile(s);
  return s.grants.add(newGrant(file.id, "link", change));
}

describe("add and find", () => {
  test("give back the grant, by id and kind or as the file's password", async () => {
    const link = await newLink({ maxUses: 3, expiresAt: new Date(Date.now() + 60_000) });
    expect(link).toMatchObject({ kind: "link", maxUses: 3, useCount: 0, isExpired: false, revokedAt: null });
    expect(await s.grants.find({ id: link.id, kind: "link" })).toEqual(link);
    expect(await s.grants.find({ id: link.id, kind: "upload" })).toBeNull();
    expect((await s.grants.find({ passwordOf: link.fileId }))?.kind).toBe("password");
  });

  test("refuse a second password, and a grant of a file that is gone or unknown", async () => {
    const file = await newFile(s);
    await expect(s.grants.add(newGrant(file.id, "password"))).rejects.toThrow(/unique/);
    await s.files.shred(file.id);
    await expect(s.grants.add(newGrant(file.id, "link"))).rejects.toMatchObject({ code: "FILE_GONE" });
    await expect(s.grants.add(newGrant(newUpload().id, "link"))).rejects.toMatchObject({ code: "FILE_GONE" });
  });
});

describe("a link of one use", () => {
  test("is taken by exactly one of 50 who start at byte 0", async () => {
    const link = await newLink({ maxUses: 1 });
    const uses = await times(50, () => s.grants.beginUse(link.id, 0));
    expect(uses.filter(use => use === "taken")).toHaveLength(1);
    expect(uses.filter(use => use === "refused")).toHaveLength(49);
  });

  test("is taken by exactly one of 50 who start in the middle; the others continue it", async () => {
    const link = await newLink({ maxUses: 1 });
    const uses = await times(50, () => s.grants.beginUse(link.id, 5));
    expect(uses.filter(use => use === "taken")).toHaveLength(1);
    expect(uses.filter(use => use === "continued")).toHaveLength(49);
  });

  test("can be continued until its last byte is delivered, and not after", async () => {
    const link = await newLink({ maxUses: 1 });
    expect(await s.grants.beginUse(link.id, 0)).toBe("taken");
    expect(await s.grants.beginUse(link.id, 100)).toBe("continued");
    expect(await s.grants.beginUse(link.id, 0)).toBe("refused");
    await s.grants.endUse(link.id);
    expect(await s.grants.beginUse(link.id, 100)).toBe("refused");
    await s.grants.endUse(link.id); // ends no more than have begun
    expect(some(await s.grants.find({ id: link.id, kind: "link" })).useCount).toBe(1);
  });
});

test("a link without a limit is taken again and again", async () => {
  const link = await newLink();
  expect(await times(20, () => s.grants.beginUse(link.id, 0))).toEqual(Array(20).fill("taken"));
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
    expect(await s.grants.beginUse(id, 0)).toBe("refused");
    expect(await s.grants.beginUse(id, 1)).toBe("refused");
  }
});
