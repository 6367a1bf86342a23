/** What is audited of what the holder of a file changes, and that nothing changes that cannot be audited. */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
  ChangeFilePasswordDocument,
  CreateDownloadLinkDocument,
  FileByHashDocument,
  RevokeDownloadLinkDocument,
  UnlockFileDocument,
  UpdateFileDocument,
} from "../generated/graphql.js";
import type { TestServer } from "../support/server.js";
import { startServer } from "../support/server.js";
import { eventsOf, query, storyOf, whileNothingIsRecorded } from "./audited.js";
import { PASSWORD, field, store } from "./client.js";
import { ask } from "./graphql/client.js";

const NEW_PASSWORD = "battery staple";
const WRONG_PASSWORD = "not the password";

let server: TestServer;
let url: string;
let admin: Record<string, string>;
beforeAll(async () => {
  server = await startServer();
  url = server.url;
  admin = { Authorization: `Bearer ${server.adminToken}` };
});
afterAll(() => server.stop());

async function newLink(hash: string): Promise<{ id: string; at: string }> {
  const { data } = await ask(url, CreateDownloadLinkDocument, { input: { hash, password: PASSWORD } });
  const made = data?.createDownloadLink;
  if (!made?.link || !made.url) throw new Error(`no link of ${hash}`);
  return { id: made.link.id, at: made.url };
}

/** Everything that a holder may change, each once. */
const changes = (hash: string, linkId: string, password: string) => ({
  terms: (headers = {}) =>
    ask(url, UpdateFileDocument, { input: { hash, password, maxDownloads: 5 } }, headers),
  link: (headers = {}) => ask(url, RevokeDownloadLinkDocument, { input: { id: linkId, password } }, headers),
  password: (headers = {}) =>
    ask(
      url,
      ChangeFilePasswordDocument,
      { input: { hash, currentPassword: password, newPassword: NEW_PASSWORD } },
      headers,
    ),
});

test("each change has exactly one entry, with who, from where, in which request", async () => {
  const hash = await store(url, "x");
  const { id } = await newLink(hash);
  const { terms, link, password } = changes(hash, id, PASSWORD);
  await terms({ "X-Request-Id": "terms" });
  await link({ ...admin, "X-Request-Id": "link" });
  await link(); // it is revoked already
  await password({ "X-Request-Id": "password" });
  const [changed, revoked, updated, ...before] = await eventsOf(server, hash);
  expect(before).toHaveLength(3); // two of the upload, one of the link
  const all = { outcome: "SUCCESS", fileHash: hash, clientIp: "127.0.0.1", count: 1 };
  expect(updated).toMatchObject({ ...all, action: "FILE_UPDATED", actor: null, requestId: "terms" });
  expect(revoked).toMatchObject({ ...all, action: "LINK_REVOKED", actor: "admin", requestId: "link" });
  expect(changed).toMatchObject({ ...all, action: "FILE_UPDATED", actor: null, requestId: "password" });
});

test("a change that is refused is audited", async () => {
  const hash = await store(url, "x");
  const { terms, link, password } = changes(hash, (await newLink(hash)).id, WRONG_PASSWORD);
  await terms();
  await link();
  await password();
  const retainUntil = new Date(Date.now() + 3_600_000).toISOString();
  await ask(url, UpdateFileDocument, { input: { hash, password: PASSWORD, retainUntil } });
  expect((await storyOf(server, hash)).slice(3)).toEqual([
    "FILE_UPDATED DENIED WRONG_PASSWORD",
    "LINK_REVOKED DENIED WRONG_PASSWORD",
    "FILE_UPDATED DENIED WRONG_PASSWORD",
    "FILE_UPDATED DENIED FORBIDDEN",
  ]);
});

test("no terms, no link and no password change without an entry", async () => {
  const hash = await store(url, "kept", field("max_downloads", "3"));
  const { id, at } = await newLink(hash);
  const { terms, link, password } = changes(hash, id, PASSWORD);
  await whileNothingIsRecorded(server, async () => {
    for (const change of [terms, link, password]) {
      expect((await change()).errors?.[0]?.extensions.code).toBe("INTERNAL_SERVER_ERROR");
    }
  });
  const found = await ask(url, FileByHashDocument, { hash });
  expect(found.data?.file?.remainingDownloads).toBe(3);
  expect(await (await fetch(at)).text()).toBe("kept");
  const unlocked = await ask(url, UnlockFileDocument, { input: { hash, password: PASSWORD } });
  expect(unlocked.data?.unlockFile.userErrors).toEqual([]);
});

test("no entry holds a password", async () => {
  const rows = await query<{ text: string }>(
    server,
    "select e::text as text from audit_events e union all select i::text from audit_inbox i",
  );
  expect(rows.length).toBeGreaterThan(10);
  for (const { text } of rows) {
    for (const secret of [PASSWORD, NEW_PASSWORD, WRONG_PASSWORD]) expect(text).not.toContain(secret);
  }
});
