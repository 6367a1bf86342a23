import { describe, expect, test } from "@jest/globals";
import type { Grant } from "../../src/core/model.js";
import { newFile, newGrant, newLink, newUpload, some, stores, times } from "./fixture.js";

const s = stores();

const passwordOf = async (fileId: string) => some(await s.grants.find({ passwordOf: fileId }));
const reread = async ({ id, kind }: Grant) => some(await s.grants.find({ id, kind }));

describe("add and find", () => {
  test("give back the grant, by id and kind or as the file's password", async () => {
    const terms = { maxUses: 3, expiresAt: new Date(Date.now() + 60_000), disposition: "inline" } as const;
    const link = await newLink(s, (await newFile(s)).id, terms);
    expect(link).toMatchObject({ ...terms, kind: "link", useCount: 0, isExpired: false, revokedAt: null });
    expect(await s.grants.find({ id: link.id, kind: "link" })).toEqual(link);
    expect(await s.grants.find({ id: link.id, kind: "upload" })).toBeNull();
    expect(await passwordOf(link.fileId)).toMatchObject({ kind: "password", disposition: "attachment" });
  });

  test("refuse a second password, and a grant of a file that is gone or unknown", async () => {
    const file = await newFile(s);
    const { id } = await passwordOf(file.id);
    await expect(s.grants.add(newGrant(file.id, "password"), id)).rejects.toThrow(/unique/);
    await s.files.shred(file.id, "asked");
    for (const fileId of [file.id, newUpload().id]) {
      const adding = s.grants.add(newGrant(fileId, "link"), id);
      await expect(adding).rejects.toMatchObject({ code: "FILE_GONE" });
    }
  });

  test("add no link for who opened another file, or opened this one with another grant", async () => {
    const [file, other] = [await newFile(s), await newFile(s)];
    const link = await newLink(s, file.id);
    for (const openedBy of [(await passwordOf(other.id)).id, link.id, newGrant("", "password").id]) {
      expect(await s.grants.add(newGrant(file.id, "link"), openedBy)).toBeNull();
    }
  });
});

describe("replacePassword", () => {
  test("puts one grant in the place of the other, and leaves or revokes the links as asked", async () => {
    for (const revokeLinks of [false, true]) {
      const file = await newFile(s);
      const link = await newLink(s, file.id);
      const [old, next] = [await passwordOf(file.id), newGrant(file.id, "password")];
      expect(await s.grants.replacePassword(old.id, next, { revokeLinks })).toBe(true);
      const now = await passwordOf(file.id);
      expect([Buffer.from(now.id), Buffer.from(now.wrap)]).toEqual([next.id, next.wrap]);
      expect(await s.grants.find({ id: old.id, kind: "password" })).toBeNull();
      expect((await reread(link)).revokedAt !== null).toBe(revokeLinks);
    }
  });

  test("of the same password by 20 at once is done by exactly one, and readers find one password at any moment", async () => {
    const file = await newFile(s);
    const { id } = await passwordOf(file.id);
    const [results] = await Promise.all([
      times(20, () => s.grants.replacePassword(id, newGrant(file.id, "password"), { revokeLinks: false })),
      times(40, () => passwordOf(file.id)),
    ]);
    expect(results.filter(Boolean)).toHaveLength(1);
  });

  test("and a link that its maker opened with the old password: none outlives it", async () => {
    for (let round = 0; round < 20; round++) {
      const file = await newFile(s);
      const { id } = await passwordOf(file.id);
      const [, link] = await Promise.all([
        s.grants.replacePassword(id, newGrant(file.id, "password"), { revokeLinks: true }),
        s.grants.add(newGrant(file.id, "link"), id),
      ]);
      if (link) expect((await reread(link)).revokedAt).not.toBeNull();
    }
  });

  test("refuses a file that is gone", async () => {
    const file = await newFile(s);
    const { id } = await passwordOf(file.id);
    await s.files.shred(file.id, "asked");
    const replacing = s.grants.replacePassword(id, newGrant(file.id, "password"), { revokeLinks: true });
    await expect(replacing).rejects.toMatchObject({ code: "FILE_GONE" });
  });
});

describe("revoke", () => {
  test("by 20 at once is done by exactly one, and no use begins afterwards", async () => {
    const link = await newLink(s, (await newFile(s)).id);
    const revoked = (await times(20, () => s.grants.revoke(link.id))).filter(result => result !== null);
    expect(revoked).toHaveLength(1);
    expect(revoked[0]).toEqual(await reread(link));
    expect(revoked[0]?.revokedAt).not.toBeNull();
    expect(await s.uses.begin(link.id, 0)).toBe("refused");
  });

  test("knows links alone", async () => {
    const { id } = await passwordOf((await newFile(s)).id);
    expect(await s.grants.revoke(id)).toBeNull();
    expect(await s.grants.revoke(newGrant("", "link").id)).toBeNull();
  });
});
