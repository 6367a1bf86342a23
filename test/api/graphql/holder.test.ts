/** What a file's holder, and an administrator in their stead, can do with it: terms, password, links. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { CreateDownloadLinkInput, UpdateFileInput } from "../../generated/graphql.js";
import {
  ChangeFilePasswordDocument,
  CreateDownloadLinkDocument,
  DeleteFileDocument,
  DownloadLinksDocument,
  RevokeDownloadLinkDocument,
  UpdateFileDocument,
} from "../../generated/graphql.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { PASSWORD, errorOf, field, link, retrieve, store } from "../client.js";
import { ask } from "./client.js";
import type { Replica } from "./replica.js";
import { openReplica } from "./replica.js";

const NEW_PASSWORD = "battery staple";

let server: TestServer;
let replica: Replica;
let url: string;
let admin: Record<string, string>;
beforeAll(async () => {
  server = await startServer();
  replica = await openReplica(server);
  url = server.url;
  admin = { Authorization: `Bearer ${server.adminToken}` };
});
afterAll(async () => {
  await replica.close();
  await server.stop();
});

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

async function update(change: UpdateFileInput, headers: Record<string, string> = {}) {
  const { data, errors } = await ask(url, UpdateFileDocument, { input: change }, headers);
  return { ...data?.updateFile, error: errors?.[0]?.extensions.code };
}

async function makeLink(hash: string, extra: Partial<CreateDownloadLinkInput> = {}) {
  const input = { hash, password: PASSWORD, ...extra };
  const { data } = await ask(url, CreateDownloadLinkDocument, { input });
  const { url: at, link: made, userErrors } = data?.createDownloadLink ?? {};
  if (!at || !made) throw new Error(JSON.stringify(userErrors));
  return { at, id: made.id };
}

async function changePassword(
  hash: string,
  currentPassword: string,
  newPassword: string,
  revokeLinks?: boolean,
) {
  const input = { hash, currentPassword, newPassword, ...(revokeLinks !== undefined && { revokeLinks }) };
  const { data } = await ask(url, ChangeFilePasswordDocument, { input });
  return data?.changeFilePassword;
}

async function revoke(id: string, password?: string, headers: Record<string, string> = {}) {
  const { data } = await ask(
    url,
    RevokeDownloadLinkDocument,
    { input: { id, password: password ?? null } },
    headers,
  );
  return data?.revokeDownloadLink;
}

describe("updateFile", () => {
  test("changes what is given; what is absent stays, and null takes the limit away", async () => {
    const hash = await store(url, "x", field("max_downloads", "5"), field("expires_in", "3600"));
    const expiresAt = inSeconds(7200);
    const first = await update({ hash, password: PASSWORD, expiresAt });
    expect(first).toMatchObject({
      userErrors: [],
      file: { expiresAt, remainingDownloads: 5, name: "a.txt" },
    });
    const second = await update({ hash, password: PASSWORD, maxDownloads: 7 });
    expect(second.file).toMatchObject({ expiresAt, remainingDownloads: 7 });
    const third = await update({ hash, password: PASSWORD, maxDownloads: null });
    expect(third.file).toMatchObject({ expiresAt, remainingDownloads: null });
    const fourth = await update({ hash, password: PASSWORD, expiresAt: null });
    expect(fourth.file).toMatchObject({ expiresAt: null, remainingDownloads: null });
  });

  test("is done by an administrator without the password, who then sees no name", async () => {
    const hash = await store(url, "x");
    const { file, userErrors } = await update({ hash, maxDownloads: 2 }, admin);
    expect({ file, userErrors }).toMatchObject({
      file: { remainingDownloads: 2, name: null },
      userErrors: [],
    });
  });

  test.each<[string, string, (hash: string) => UpdateFileInput]>([
    ["MISSING_PASSWORD", "password", hash => ({ hash, maxDownloads: 9 })],
    ["WRONG_PASSWORD", "password", hash => ({ hash, password: "not this one", maxDownloads: 9 })],
    ["EXPIRY_OUT_OF_RANGE", "expiresAt", hash => ({ hash, password: PASSWORD, expiresAt: inSeconds(-1) })],
    [
      "EXPIRY_OUT_OF_RANGE",
      "expiresAt",
      hash => ({ hash, password: PASSWORD, expiresAt: inSeconds(11 * 365 * 86_400) }),
    ],
    ["MAX_DOWNLOADS_OUT_OF_RANGE", "maxDownloads", hash => ({ hash, password: PASSWORD, maxDownloads: 0 })],
    ["NOT_FOUND", "hash", () => ({ hash: "0".repeat(64), password: PASSWORD, maxDownloads: 9 })],
  ])("says %s of %s and changes nothing", async (code, name, change) => {
    const hash = await store(url, "x", field("max_downloads", "5"));
    const { userErrors } = await update(change(hash));
    expect(userErrors).toMatchObject([{ code, field: ["input", name] }]);
    const { file } = await update({ hash, password: PASSWORD });
    expect(file).toMatchObject({ expiresAt: null, remainingDownloads: 5 });
  });

  test("allows no fewer downloads than were had", async () => {
    const hash = await store(url, "x", field("max_downloads", "5"));
    for (let i = 0; i < 2; i++) await (await fetch(await link(url, hash))).text();
    const { userErrors } = await update({ hash, password: PASSWORD, maxDownloads: 1 });
    expect(userErrors).toMatchObject([{ code: "MAX_DOWNLOADS_OUT_OF_RANGE" }]);
    const { file } = await update({ hash, password: PASSWORD, maxDownloads: 3 });
    expect(file).toMatchObject({ remainingDownloads: 1 });
  });

  test("of two limits at once keeps both", async () => {
    const hash = await store(url, "x");
    const expiresAt = inSeconds(3600);
    await Promise.all([
      update({ hash, password: PASSWORD, expiresAt }),
      update({ hash, password: PASSWORD, maxDownloads: 3 }),
    ]);
    expect((await update({ hash, password: PASSWORD })).file).toMatchObject({
      expiresAt,
      remainingDownloads: 3,
    });
  });
});

describe("retention", () => {
  test("is for administrators, and is moved later only", async () => {
    const hash = await store(url, "x");
    expect((await update({ hash, password: PASSWORD, retainUntil: inSeconds(60) })).error).toBe("FORBIDDEN");
    expect((await update({ hash, retainUntil: inSeconds(600) }, admin)).userErrors).toEqual([]);
    for (const retainUntil of [inSeconds(300), null]) {
      const { userErrors } = await update({ hash, retainUntil }, admin);
      expect(userErrors).toMatchObject([{ code: "FILE_RETAINED", field: ["input", "retainUntil"] }]);
    }
    expect((await update({ hash, retainUntil: inSeconds(900) }, admin)).userErrors).toEqual([]);
  });

  test("keeps a file from delete, expiry, its last download and the sweep; when it ends they take effect", async () => {
    const deleted = await store(url, "x");
    const expired = await store(url, "x");
    const had = await store(url, "x", field("max_downloads", "1"));
    for (const hash of [deleted, expired, had]) await update({ hash, retainUntil: inSeconds(600) }, admin);

    const { data } = await ask(url, DeleteFileDocument, { input: { hash: deleted, password: PASSWORD } });
    expect(data?.deleteFile).toMatchObject({ deletedHash: null, userErrors: [{ code: "FILE_RETAINED" }] });
    await replica.query("update files set expires_at = now() where hash = decode($1, 'hex')", [expired]);
    expect(await (await fetch(await link(url, had))).text()).toBe("x");
    expect(await replica.sweep()).toMatchObject({ files: 0 });

    expect(await (await fetch(await link(url, deleted))).text()).toBe("x");
    expect(await (await fetch(await link(url, expired))).text()).toBe("x");
    const left = await link(url, had);
    expect(await errorOf(await fetch(left))).toEqual({ status: 410, code: "FILE_GONE" });

    await replica.query("update files set retain_until = now() where retain_until is not null", []);
    expect(await replica.sweep()).toMatchObject({ files: 2 });
    for (const [hash, status] of [
      [deleted, 200],
      [expired, 410],
      [had, 410],
    ] as const) {
      expect((await retrieve(url, hash)).status).toBe(status);
    }
  });
});

describe("changeFilePassword", () => {
  test("opens the file with the new password and not with the old, under the same hash, and revokes links", async () => {
    const hash = await store(url, "the bytes");
    const { at } = await makeLink(hash);
    const changed = await changePassword(hash, PASSWORD, NEW_PASSWORD);
    expect(changed).toMatchObject({ userErrors: [], file: { hash, name: "a.txt" } });
    expect(await errorOf(await retrieve(url, hash))).toEqual({ status: 403, code: "WRONG_PASSWORD" });
    expect(await errorOf(await fetch(at))).toEqual({ status: 410, code: "LINK_EXPIRED" });
    const next = await link(url, hash, { password: NEW_PASSWORD });
    expect(await (await fetch(next)).text()).toBe("the bytes");
  });

  test("leaves the links where asked", async () => {
    const hash = await store(url, "the bytes");
    const { at } = await makeLink(hash);
    await changePassword(hash, PASSWORD, NEW_PASSWORD, false);
    expect(await (await fetch(at)).text()).toBe("the bytes");
  });

  test("of the same password by several at once is done by one; the others are told WRONG_PASSWORD", async () => {
    const hash = await store(url, "x");
    const chosen = ["one of several", "two of several", "three of several", "four of several"];
    const results = await Promise.all(chosen.map(next => changePassword(hash, PASSWORD, next)));
    const codes = results.map(result => result?.userErrors[0]?.code ?? "won");
    expect([...codes].sort()).toEqual(["WRONG_PASSWORD", "WRONG_PASSWORD", "WRONG_PASSWORD", "won"]);
    for (const [i, password] of chosen.entries()) {
      expect((await retrieve(url, hash, { password })).status).toBe(codes[i] === "won" ? 200 : 403);
    }
  });

  test.each([
    ["WRONG_PASSWORD", "currentPassword", "not this one", NEW_PASSWORD],
    ["PASSWORD_TOO_SHORT", "newPassword", PASSWORD, "short"],
    ["PASSWORD_TOO_LONG", "newPassword", PASSWORD, "x".repeat(1025)],
    ["PASSWORD_TOO_LONG", "currentPassword", "x".repeat(1025), NEW_PASSWORD],
    ["PASSWORD_TOO_COMMON", "newPassword", PASSWORD, "Password1"],
  ])("says %s of %s and changes nothing", async (code, name, current, next) => {
    const hash = await store(url, "x");
    const changed = await changePassword(hash, current, next);
    expect(changed).toMatchObject({ file: null, userErrors: [{ code, field: ["input", name] }] });
    expect((await retrieve(url, hash)).status).toBe(200);
  });

  test("is no way around the limit of wrong passwords, and a right one uses up no try", async () => {
    await using strict = await startServer({ RATE_LIMIT: "on" });
    const hash = await store(strict.url, "x");
    const change = async (currentPassword: string, newPassword: string) => {
      const input = { hash, currentPassword, newPassword };
      const { data } = await ask(strict.url, ChangeFilePasswordDocument, { input });
      return data?.changeFilePassword.userErrors[0]?.code ?? "changed";
    };
    for (let i = 0; i < 12; i++) {
      const [from, to] = i % 2 === 0 ? [PASSWORD, NEW_PASSWORD] : [NEW_PASSWORD, PASSWORD];
      expect(await change(from, to)).toBe("changed");
    }
    for (let i = 0; i < 10; i++)
      expect(await change(`wrong guess ${i}`, NEW_PASSWORD)).toBe("WRONG_PASSWORD");
    expect(await change(PASSWORD, NEW_PASSWORD)).toBe("TOO_MANY_ATTEMPTS");
  });
});

describe("revokeDownloadLink", () => {
  test.each<[string, () => [string | undefined, Record<string, string>]]>([
    ["the password", () => [PASSWORD, {}]],
    ["an administrator's token", () => [undefined, admin]],
  ])("ends the link at once, with %s", async (_, who) => {
    const hash = await store(url, "x");
    const { at, id } = await makeLink(hash);
    expect((await fetch(at)).status).toBe(200);
    const revoked = await revoke(id, ...who());
    expect(revoked).toMatchObject({ userErrors: [], link: { id, revokedAt: expect.any(String) } });
    for (const method of ["GET", "HEAD"]) expect((await fetch(at, { method })).status).toBe(410);
    expect(await errorOf(await fetch(at))).toEqual({ status: 410, code: "LINK_EXPIRED" });
    expect((await revoke(id, ...who()))?.userErrors).toMatchObject([{ code: "LINK_ALREADY_REVOKED" }]);
  });

  test("leaves other links, and needs the file's own password", async () => {
    const hash = await store(url, "x");
    const [one, other] = [await makeLink(hash), await makeLink(hash)];
    expect((await revoke(one.id))?.userErrors).toMatchObject([{ code: "MISSING_PASSWORD" }]);
    expect((await revoke(one.id, "not this one"))?.userErrors).toMatchObject([{ code: "WRONG_PASSWORD" }]);
    expect((await fetch(one.at)).status).toBe(200);
    await revoke(one.id, PASSWORD);
    expect((await fetch(other.at)).status).toBe(200);
  });

  test.each(["", "x", btoa("DownloadLink:00"), btoa(`DownloadLink:${"0".repeat(32)}`), btoa("File:1")])(
    "does not know the link %p",
    async id => expect((await revoke(id, PASSWORD))?.userErrors).toMatchObject([{ code: "NOT_FOUND" }]),
  );

  test("and downloads that begin at the same moment: each is whole or 410, and later ones are 410", async () => {
    const hash = await store(url, "x".repeat(50_000));
    const { at, id } = await makeLink(hash);
    const [answers] = await Promise.all([
      Promise.all(Array.from({ length: 10 }, async () => fetch(at))),
      revoke(id, PASSWORD),
    ]);
    for (const answer of answers) {
      if (answer.status === 200) expect((await answer.text()).length).toBe(50_000);
      else expect(await errorOf(answer)).toEqual({ status: 410, code: "LINK_EXPIRED" });
    }
    expect((await fetch(at)).status).toBe(410);
  });
});

describe("File.downloadLinks", () => {
  test("pages through the links of the file, newest first", async () => {
    const hash = await store(url, "x");
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.unshift((await makeLink(hash)).id);
    await revoke(made[1] ?? "", PASSWORD);
    const seen: string[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const page: Awaited<ReturnType<typeof links>> = await links(hash, after);
      expect(page?.totalCount).toBe(5);
      seen.push(...(page?.nodes.map(node => node.id) ?? []));
      more = page?.pageInfo.hasNextPage ?? false;
      after = page?.pageInfo.endCursor ?? null;
    }
    expect(seen).toEqual(made);
    expect((await links(hash, null))?.nodes.map(node => node.revokedAt !== null)).toEqual([false, true]);
  });

  async function links(hash: string, after: string | null) {
    return (await ask(url, DownloadLinksDocument, { hash, first: 2, after }, admin)).data?.file
      ?.downloadLinks;
  }
});

describe("PASSWORD_TOO_COMMON", () => {
  test.each(["password1", "PassWord1", "Ｐassword1", "1234567890", "qwertyuiop"])(
    "is the answer to an upload with the password %s",
    async password => {
      const form = new FormData();
      form.set("file", new File(["x"], "a.txt"));
      form.set("password", password);
      const answer = await fetch(`${url}/api/upload`, { method: "POST", body: form });
      expect(await errorOf(answer)).toEqual({ status: 422, code: "PASSWORD_TOO_COMMON" });
    },
  );
});
