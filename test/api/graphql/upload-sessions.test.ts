import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createHash, randomBytes } from "node:crypto";
import type { CreateUploadInput, SessionFragment } from "../../generated/graphql.js";
import {
  AbandonUploadDocument,
  CreateUploadDocument,
  UnlockFileDocument,
  UploadSessionDocument,
  UploadSessionsDocument,
} from "../../generated/graphql.js";
import type { TestServer } from "../../support/server.js";
import { startServer } from "../../support/server.js";
import { PASSWORD, bodyOf, countRows, link, retrieve, store } from "../client.js";
import { ask } from "./client.js";
import type { Replica } from "./replica.js";
import { openReplica } from "./replica.js";

const CHUNK_SIZE = 1024;
const PLAIN_PER_CHUNK = CHUNK_SIZE - 32;
const CONTENT = randomBytes(5 * PLAIN_PER_CHUNK + 7);
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");
const MAX_UPLOAD_BYTES = 1 << 20;
const TTL_MS = 24 * 3600 * 1000;

let server: TestServer;
let replica: Replica;
let url: string;
let admin: Record<string, string>;
beforeAll(async () => {
  server = await startServer({ MAX_UPLOAD_SIZE: "1MiB" });
  replica = await openReplica(server);
  url = server.url;
  admin = { Authorization: `Bearer ${server.adminToken}` };
});
afterAll(async () => {
  await replica.close();
  await server.stop();
});

interface Begun {
  readonly session: SessionFragment;
  readonly tusUrl: string;
  readonly token: string;
  /** In the database. */
  readonly id: string;
}

const inputOf = (change: Partial<CreateUploadInput> = {}): CreateUploadInput => {
  return {
    filename: "Grüße.png",
    password: PASSWORD,
    chunkSize: CHUNK_SIZE,
    size: CONTENT.length,
    ...change,
  };
};

async function create(change: Partial<CreateUploadInput> = {}, headers = {}): Promise<Begun> {
  const { data } = await ask(url, CreateUploadDocument, { input: inputOf(change) }, headers);
  const session = data?.createUpload.upload;
  if (!session?.tusUrl) throw new Error(JSON.stringify(data?.createUpload.userErrors));
  const { tusUrl } = session;
  const token = tusUrl.slice(tusUrl.lastIndexOf("/") + 1);
  const id = Buffer.from(session.id, "base64url").toString().replace("UploadSession:", "");
  return { session, tusUrl, token, id };
}

async function look(token: string, headers = {}): Promise<SessionFragment | null | undefined> {
  const { data, errors } = await ask(url, UploadSessionDocument, { token }, headers);
  expect(errors).toBeUndefined();
  return data?.uploadSession;
}

async function abandon(token: string) {
  const { data, errors } = await ask(url, AbandonUploadDocument, { input: { token } });
  expect(errors).toBeUndefined();
  return data?.abandonUpload;
}

describe("createUpload", () => {
  test("tells anyone where to send the bytes, and nothing of the file is there yet", async () => {
    const { session, token } = await create({ mediaType: "image/png" });
    expect(session).toEqual({
      id: expect.any(String),
      tusUrl: `${url}/files/${token}`,
      stage: "RECEIVING",
      size: CONTENT.length,
      offset: 0,
      storedChunkCount: 0,
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      expiresAt: expect.stringMatching(/^\d{4}-.*Z$/),
      file: null,
      failure: null,
    });
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(session.id).not.toContain(token);
    const lifeMs = Date.parse(session.expiresAt) - Date.parse(session.createdAt);
    expect(Math.abs(lifeMs - TTL_MS)).toBeLessThanOrEqual(1); // one is rounded to the millisecond, the other cut
  });

  test("needs no length: it is deferred", async () => {
    expect((await create({ size: null })).session.size).toBeNull();
  });

  test("takes the password once: the token's holder goes on without it, and the file opens with it", async () => {
    const terms = { expiresIn: "P1D", maxDownloads: 3, mediaType: "image/png", expectedSha256: SHA256 };
    const { token } = await create(terms);
    await replica.append(token, CONTENT);
    const { hash } = await replica.uploads.finish(token);
    const { data } = await ask(url, UnlockFileDocument, { input: { hash, password: PASSWORD } });
    expect(data?.unlockFile.file).toMatchObject({
      name: "Grüße.png",
      mediaType: "image/png",
      sha256: SHA256,
      size: CONTENT.length,
      remainingDownloads: 3,
      expiresAt: expect.any(String),
    });
    expect(Buffer.from(await (await fetch(await link(url, hash))).arrayBuffer())).toEqual(CONTENT);
    expect((await retrieve(url, hash, { password: "not this one" })).status).toBe(403);
  });

  test("without a media type makes a file of unknown type", async () => {
    const { token } = await create();
    await replica.append(token, CONTENT);
    const { hash } = await replica.uploads.finish(token);
    const { data } = await ask(url, UnlockFileDocument, { input: { hash, password: PASSWORD } });
    expect(data?.unlockFile.file?.mediaType).toBe("application/octet-stream");
  });

  test.each<[code: string, field: string, input: Partial<CreateUploadInput>]>([
    ["PASSWORD_TOO_SHORT", "password", { password: "short" }],
    ["PASSWORD_TOO_LONG", "password", { password: "x".repeat(5000) }],
    ["FILE_TOO_LARGE", "size", { size: MAX_UPLOAD_BYTES + 1 }],
    ["CHUNK_SIZE_OUT_OF_RANGE", "chunkSize", { chunkSize: 1 }],
    ["EXPIRY_OUT_OF_RANGE", "expiresIn", { expiresIn: "PT0S" }],
    ["MAX_DOWNLOADS_OUT_OF_RANGE", "maxDownloads", { maxDownloads: 0 }],
  ])("says %s of the input %s, and stores nothing", async (code, field, change) => {
    const before = await countRows(server.databaseUrl);
    const { data, errors } = await ask(url, CreateUploadDocument, { input: inputOf(change) });
    expect(errors).toBeUndefined();
    expect(data?.createUpload).toMatchObject({
      upload: null,
      userErrors: [{ code, field: ["input", field], message: expect.any(String) }],
    });
    expect(await countRows(server.databaseUrl)).toEqual(before);
  });

  test.each([{ expectedSha256: "abc" }, { size: -1 }, { size: 1.5 }, { expiresIn: "P1Y" }])(
    "does not take %j for what it should be, and repeats none of the variables",
    async change => {
      const input = inputOf({ ...change, password: "canary-password" });
      const { errors } = await ask(url, CreateUploadDocument, { input });
      expect(errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
      expect(JSON.stringify(errors)).not.toContain("canary");
    },
  );

  test("is for authenticated callers only where uploads are, and is told so at the top level", async () => {
    await using closed = await startServer({ UPLOADS: "authenticated" });
    const input = inputOf();
    const refused = await ask(closed.url, CreateUploadDocument, { input });
    expect(refused.errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect(refused.data ?? null).toBeNull();
    const allowed = await ask(closed.url, CreateUploadDocument, { input }, admin);
    expect(allowed.data?.createUpload.upload?.stage).toBe("RECEIVING");
  });

  test("60 times a minute is enough for one address: then RATE_LIMITED at the top level, with the wait", async () => {
    await using limited = await startServer({ RATE_LIMIT: "on" });
    const begin = () => ask(limited.url, CreateUploadDocument, { input: inputOf() });
    for (let i = 0; i < 60; i++) expect((await begin()).errors).toBeUndefined();
    expect((await begin()).errors).toMatchObject([
      { extensions: { code: "RATE_LIMITED", retryAfterSeconds: expect.any(Number) } },
    ]);
  });
});

describe("uploadSession", () => {
  test("is found by the token or the tus URL, at any host; the URL is not told again", async () => {
    const { session, tusUrl, token } = await create();
    for (const known of [token, tusUrl, `https://elsewhere.example/sub/files/${token}`, `/files/${token}`]) {
      expect(await look(known)).toEqual({ ...session, tusUrl: null });
    }
    expect(await look(token, admin)).toEqual({ ...session, tusUrl: null });
  });

  test.each([
    ["nothing", () => ""],
    ["an unknown token", () => randomBytes(32).toString("base64url")],
    ["half a token", (token: string) => token.slice(0, 20)],
    ["a token with one letter more", (token: string) => `${token}A`],
    ["a token behind another path", (token: string) => `${url}/d/${token}`],
    ["a token with a query", (token: string) => `${url}/files/${token}?x`],
    ["a token in another writing of the same bytes", (token: string) => twin(token)],
  ])("is null for %s, also for an administrator", async (_, change) => {
    const { token } = await create();
    expect(await look(change(token))).toBeNull();
    expect(await look(change(token), admin)).toBeNull();
  });

  test("shows what is durable: the offset, and as many chunks as the database has rows of", async () => {
    const { token, id } = await create();
    const sizes = [PLAIN_PER_CHUNK - 1, 1, 1, 2 * PLAIN_PER_CHUNK, 500];
    let sent = 0;
    for (const size of sizes) {
      await replica.append(token, CONTENT.subarray(sent, sent + size));
      sent += size;
      const session = await look(token);
      expect(session).toMatchObject({ stage: "RECEIVING", offset: sent, size: CONTENT.length, file: null });
      expect(session?.storedChunkCount).toBe(await replica.dataChunkRows(id));
      expect(session?.storedChunkCount).toBe(Math.floor(sent / PLAIN_PER_CHUNK));
    }
    await replica.append(token, CONTENT.subarray(sent));
    expect(await look(token)).toMatchObject({ stage: "RECEIVING", storedChunkCount: 6 });
  });

  test("FINISHED has the file, as its hash shows it: the name needs the password, the layout an administrator", async () => {
    const { token, id } = await create();
    await replica.append(token, CONTENT);
    const { hash } = await replica.uploads.finish(token);
    const session = await look(token);
    expect(session).toMatchObject({
      stage: "FINISHED",
      offset: CONTENT.length,
      storedChunkCount: 6,
      file: {
        hash,
        size: CONTENT.length,
        status: "AVAILABLE",
        name: null,
        mediaType: null,
        chunkCount: null,
      },
      failure: null,
    });
    expect(session?.storedChunkCount).toBe(await replica.dataChunkRows(id));
    expect((await look(token, admin))?.file).toMatchObject({ hash, name: null, chunkCount: 6 });
  });

  test("of an empty file has its one chunk once FINISHED", async () => {
    const { token, id } = await create({ size: 0 });
    await replica.append(token, new Uint8Array());
    await replica.uploads.finish(token);
    expect(await look(token)).toMatchObject({ stage: "FINISHED", storedChunkCount: 1, offset: 0 });
    expect(await replica.dataChunkRows(id)).toBe(1);
  });

  test("FAILED says why: the bytes are not those announced, and none of them is kept", async () => {
    const { token, id } = await create({ expectedSha256: "0".repeat(64) });
    await replica.append(token, CONTENT);
    await expect(replica.uploads.finish(token)).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
    expect(await look(token)).toMatchObject({
      stage: "FAILED",
      storedChunkCount: 0,
      file: null,
      failure: {
        code: "CHECKSUM_MISMATCH",
        message: "The bytes do not have the declared checksum.",
        field: null,
        retryAfterSeconds: null,
      },
    });
    expect(await replica.dataChunkRows(id)).toBe(0);
  });

  test("EXPIRED is told at once, not only when the sweep has come by; a FINISHED one stays what it is", async () => {
    const finished = await create();
    await replica.append(finished.token, CONTENT);
    const { hash } = await replica.uploads.finish(finished.token);
    const late = await create();
    await replica.append(late.token, CONTENT.subarray(0, 1000));
    await replica.expire(late.id);
    await replica.expire(finished.id);
    expect(await look(late.token)).toMatchObject({ stage: "EXPIRED", offset: 1000, storedChunkCount: 1 });
    await replica.sweep();
    expect(await look(late.token)).toMatchObject({
      stage: "EXPIRED",
      offset: 1000,
      storedChunkCount: 0,
      file: null,
      failure: null,
    });
    expect(await look(finished.token)).toMatchObject({ stage: "FINISHED", file: { hash } });
  });
});

describe("abandonUpload", () => {
  test("drops what was received, by the tus URL or the token, as often as it is asked", async () => {
    const { token, tusUrl, id } = await create();
    await replica.append(token, CONTENT.subarray(0, 3000));
    for (const known of [tusUrl, token, token]) {
      expect(await abandon(known)).toMatchObject({
        upload: { stage: "ABANDONED", storedChunkCount: 0, tusUrl: null },
        userErrors: [],
      });
    }
    expect(await replica.dataChunkRows(id)).toBe(0);
    expect(await look(token)).toMatchObject({ stage: "ABANDONED" });
    await expect(replica.append(token, CONTENT)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("leaves an upload that ended otherwise as it ended", async () => {
    const late = await create();
    await replica.expire(late.id);
    await replica.sweep();
    expect(await abandon(late.token)).toMatchObject({ upload: { stage: "EXPIRED" }, userErrors: [] });
  });

  test("does nothing to a file: UPLOAD_ALREADY_FINISHED", async () => {
    const { token } = await create();
    await replica.append(token, CONTENT);
    const { hash } = await replica.uploads.finish(token);
    expect(await abandon(token)).toMatchObject({
      upload: null,
      userErrors: [{ code: "UPLOAD_ALREADY_FINISHED", field: ["input", "token"] }],
    });
    expect((await bodyOf(await retrieve(url, hash)))["status"]).toBe("success");
  });

  test.each(["", "no token", randomBytes(32).toString("base64url")])(
    "says NOT_FOUND for %j, and does not repeat it",
    async token => {
      const payload = await abandon(token);
      expect(payload).toMatchObject({
        upload: null,
        userErrors: [{ code: "NOT_FOUND", field: ["input", "token"] }],
      });
      if (token) expect(JSON.stringify(payload)).not.toContain(token);
    },
  );
});

describe("uploadSessions", () => {
  const list = async (variables: object) => {
    const { data, errors } = await ask(url, UploadSessionsDocument, variables, admin);
    expect(errors).toBeUndefined();
    if (!data) throw new Error("no data");
    return data.uploadSessions;
  };

  test("is for administrators, not for who holds a token or knows nothing", async () => {
    const { data, errors } = await ask(url, UploadSessionsDocument, {});
    expect(errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect(data ?? null).toBeNull();
  });

  test("pages through all uploads, those of other doors too, newest first; no URL and no name among it", async () => {
    const hash = await store(url, CONTENT);
    const { session, token } = await create();
    const nodes: SessionFragment[] = [];
    for (let after: string | null = null, isMore = true; isMore; ) {
      const page = await list({ first: 4, after });
      expect(page.pageInfo.hasPreviousPage).toBe(after !== null);
      nodes.push(...page.nodes);
      after = page.pageInfo.endCursor ?? null;
      isMore = page.pageInfo.hasNextPage;
    }
    const whole = await list({ first: 100 });
    expect(nodes).toEqual(whole.nodes);
    expect(whole.totalCount).toBe(nodes.length);
    expect(nodes[0]).toEqual({ ...session, tusUrl: null });
    expect(nodes[1]).toMatchObject({ stage: "FINISHED", file: { hash, name: null } });
    expect(nodes.map(node => node.createdAt)).toEqual(
      nodes
        .map(node => node.createdAt)
        .sort()
        .reverse(),
    );
    expect(JSON.stringify(whole)).not.toContain(token);
    expect(JSON.stringify(whole)).not.toContain("Grüße");
  });

  test("is filtered by stage; one whose time is over is EXPIRED and not RECEIVING, swept or not", async () => {
    const late = await create();
    const open = await create();
    await replica.expire(late.id);
    const idsOf = async (...stage: ("RECEIVING" | "EXPIRED" | "ABANDONED")[]) =>
      (await list({ first: 100, stage })).nodes.map(node => node.id);
    for (const act of [() => {}, () => replica.sweep()]) {
      await act();
      const receiving = await idsOf("RECEIVING");
      expect(receiving).toContain(open.session.id);
      expect(receiving).not.toContain(late.session.id);
      const expired = await list({ first: 100, stage: ["EXPIRED"] });
      expect(expired.nodes.map(node => node.id)).toContain(late.session.id);
      expect(new Set(expired.nodes.map(node => node.stage))).toEqual(new Set(["EXPIRED"]));
      expect(await idsOf("RECEIVING", "EXPIRED")).toEqual(
        expect.arrayContaining([open.session.id, late.session.id]),
      );
      expect(await idsOf("ABANDONED")).not.toContain(late.session.id);
    }
    expect(await idsOf()).toEqual([]);
  });

  test.each([[{ first: 0 }], [{ first: 101 }], [{ after: "not a cursor" }]])(
    "is told that %j is a mistake",
    async variables => {
      const { errors } = await ask(url, UploadSessionsDocument, variables, admin);
      expect(errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
    },
  );
});

/** Base64url of 32 bytes leaves two bits unused: another last letter that decodes to the same bytes. */
function twin(token: string): string {
  const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return token.slice(0, -1) + last[last.indexOf(token.slice(-1)) + 1];
}
