/** A migrated database with all stores, and rows to put into it. */
import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll } from "@jest/globals";
import { sql } from "kysely";
import type {
  ChunkRecord,
  Grant,
  HeldUpload,
  ObjectRef,
  StoredFile,
  Tail,
  Upload,
} from "../../src/core/model.js";
import type { AuditEvent } from "../../src/core/audit.js";
import { eventOf } from "../../src/core/auditor.js";
import type { NewGrant } from "../../src/core/grant-ports.js";
import type { Commit, NewUpload } from "../../src/core/ports.js";
import { BucketRows } from "../../src/database/bucket-directory.js";
import { CatalogueRows } from "../../src/database/catalogue.js";
import { ChunkCatalogueRows } from "../../src/database/chunk-catalogue.js";
import { ChunkRows } from "../../src/database/chunk-map.js";
import { DeadRows, LostRows } from "../../src/database/dead-objects.js";
import { ExpiryRows } from "../../src/database/expiries.js";
import { FileRows } from "../../src/database/file-store.js";
import { GrantRows } from "../../src/database/grant-store.js";
import { LookupRows } from "../../src/database/lookup.js";
import { LinkCatalogueRows } from "../../src/database/link-catalogue.js";
import type { Database } from "../../src/database/orm.js";
import { openDatabase } from "../../src/database/orm.js";
import { UploadRows } from "../../src/database/upload-store.js";
import { UseRows } from "../../src/database/use-store.js";
import { newFileId } from "../../src/format/id.js";
import type { TestDatabase } from "../support/database.js";
import { createDatabase } from "../support/database.js";
import { silent } from "../support/log.js";

export interface Stores {
  readonly url: string;
  readonly database: Database;
  readonly uploads: UploadRows;
  readonly chunkMap: ChunkRows;
  readonly files: FileRows;
  readonly grants: GrantRows;
  readonly uses: UseRows;
  readonly expiries: ExpiryRows;
  readonly lost: LostRows;
  readonly dead: DeadRows;
  readonly buckets: BucketRows;
  readonly catalogue: CatalogueRows;
  readonly chunkCatalogue: ChunkCatalogueRows;
  readonly linkCatalogue: LinkCatalogueRows;
  readonly lookup: LookupRows;
}

/** The stores over a database of the test file's own; usable within its tests. */
export function stores({ poolSize = 10 } = {}): Stores {
  const opened = {} as { -readonly [K in keyof Stores]: Stores[K] };
  let copy: TestDatabase;
  beforeAll(async () => {
    copy = await createDatabase();
    const database = await openDatabase({ url: copy.url, poolSize, log: silent });
    Object.assign(opened, {
      url: copy.url,
      database,
      uploads: new UploadRows(database),
      chunkMap: new ChunkRows(database),
      files: new FileRows(database, 10),
      grants: new GrantRows(database),
      uses: new UseRows(database),
      expiries: new ExpiryRows(database),
      lost: new LostRows(database),
      dead: new DeadRows(database),
      buckets: new BucketRows(database),
      catalogue: new CatalogueRows(database),
      chunkCatalogue: new ChunkCatalogueRows(database),
      linkCatalogue: new LinkCatalogueRows(database),
      lookup: new LookupRows(database),
    });
  });
  afterAll(async () => {
    await opened.database.close();
    await copy.drop();
  });
  return opened;
}

export function newUpload(change: Partial<NewUpload> = {}): NewUpload {
  return {
    id: newFileId(),
    tokenId: randomBytes(16),
    length: null,
    layout: { chunkBytes: 1024, segmentBytes: 1024 },
    parity: { dataChunks: 2, parityChunks: 1 },
    floeHeader: randomBytes(74),
    meta: randomBytes(60),
    facts: randomBytes(60),
    terms: { expiresInSeconds: null, maxDownloads: null },
    ttlSeconds: 3600,
    ...change,
  };
}

export function newGrant(fileId: string, kind: Grant["kind"], change: Partial<NewGrant> = {}): NewGrant {
  return {
    id: randomBytes(16),
    fileId,
    kind,
    wrap: randomBytes(120),
    expiresAt: null,
    maxUses: null,
    ...change,
  };
}

export function newRef(bucketId = 1): ObjectRef {
  return { bucketId, objectKey: randomBytes(16).toString("hex") };
}

/** The row of chunk (stripe, shard), in a bucket of its own within the stripe. */
export function newChunk(stripe: number, shard: number): ChunkRecord {
  return { ...newRef(shard + 1), stripe, shard, storedBytes: 1024, digest: randomBytes(32) };
}

/** Creates an upload and takes its first lease. */
export async function beginUpload(s: Stores, change: Partial<NewUpload> = {}): Promise<HeldUpload> {
  const upload = newUpload(change);
  await s.uploads.create(upload, [newGrant(upload.id, "password"), newGrant(upload.id, "upload")]);
  return some(await s.uploads.lease(upload.id, { offset: 0 }));
}

/** What moves `upload` on by `bytes`. */
export function commitOf(
  upload: Upload,
  bytes: number,
  chunks: readonly ChunkRecord[],
  tail: Tail | null = null,
): Commit {
  return {
    uploadId: upload.id,
    lease: upload.lease,
    fromOffset: upload.offset,
    toOffset: upload.offset + bytes,
    chunks,
    tail,
    length: null,
    ttlSeconds: 3600,
  };
}

/** Reserves and commits, as an append does. */
export async function append(s: Stores, commit: Commit): Promise<boolean> {
  await s.chunkMap.reserve(commit.uploadId, commit.lease, objectsOf(commit));
  return s.chunkMap.commit(commit);
}

export function objectsOf({ chunks, tail }: Commit): readonly ObjectRef[] {
  return tail ? [...chunks, tail] : chunks;
}

export async function finish(
  s: Stores,
  upload: Upload,
  change: Partial<Upload["terms"]> = {},
  plainBytes = upload.offset,
  event: AuditEvent | null = eventOf({ action: "UPLOAD_FINISHED", caller: null, fileId: upload.id }),
): Promise<StoredFile | null> {
  const core = randomBytes(200);
  return s.files.finish({
    uploadId: upload.id,
    lease: upload.lease,
    file: {
      id: upload.id,
      hash: createHash("sha256").update(core).digest("hex"),
      core,
      seal: randomBytes(32),
      meta: randomBytes(60),
      plainBytes,
      parity: upload.parity,
    },
    terms: { ...upload.terms, ...change },
    createdAt: new Date(),
    grant: null,
    ...(event && { event }),
    movedChunks: upload.movedChunks,
    manifest: { mapKey: randomBytes(32), escrowId: new Uint8Array(), objects: [], isComplete: true },
  });
}

/** A finished file of `stripes` stripes of three chunks, of which the audit log knows nothing. */
export async function newFile(
  s: Stores,
  stripes = 1,
  terms: Partial<Upload["terms"]> = {},
): Promise<StoredFile> {
  const upload = await beginUpload(s);
  const chunks = Array.from({ length: stripes }, (_, i) => [0, 1, 2].map(shard => newChunk(i, shard))).flat();
  await append(s, commitOf(upload, stripes * 2000, chunks));
  return some(await finish(s, upload, terms, stripes * 2000, null));
}

/** A link of the file, made by who opened it with its password. */
export async function newLink(s: Stores, fileId: string, change: Partial<NewGrant> = {}): Promise<Grant> {
  const { id } = some(await s.grants.find({ passwordOf: fileId }));
  return some(await s.grants.add(newGrant(fileId, "link", change), id));
}

/** Claims what is dead, and buries what is lost, as a sweep of one batch does. */
export async function claim(s: Stores, limit: number, graceSeconds = 0): Promise<readonly ObjectRef[]> {
  const lost = await s.lost.find(limit, graceSeconds);
  return [...(await s.dead.claim(limit)), ...(await s.lost.bury(lost, graceSeconds))];
}

/** Ids of the files that {@link ExpiryRows.expired} would end now, the half-shredded among them. */
export async function endingFiles(s: Stores): Promise<string[]> {
  const { files, halfShredded } = await s.expiries.expired(99);
  return [...files.map(({ id }) => id), ...halfShredded];
}

/** How often the audit log, chained or not yet, says that the upload became a file. */
export async function finishEvents(s: Stores, fileId: string): Promise<number> {
  const { rows } = await sql<{ count: string }>`
    select count(*) from (
      select file_id, action from audit_inbox union all select file_id, action from audit_events
    ) as event
    where file_id = ${fileId} and action = 'UPLOAD_FINISHED'`.execute(s.database.em().getKysely());
  return Number(rows[0]?.count);
}

export async function objectCount(
  s: Stores,
  table: "pending_objects" | "dead_objects" | "chunks",
): Promise<number> {
  const { rows } = await sql<{ count: string }>`select count(*) from ${sql.table(table)}`.execute(
    s.database.em().getKysely(),
  );
  return Number(rows[0]?.count);
}

export async function run(s: Stores, statement: string): Promise<void> {
  await sql.raw(statement).execute(s.database.em().getKysely());
}

export function some<T>(value: T | null | undefined): T {
  if (value == null) throw new Error("expected a value");
  return value;
}

export function times<T>(count: number, act: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => act(index)));
}
