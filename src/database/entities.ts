/**
 * The tables as MikroORM sees them; `migrations/` makes them. Chunks are not here: they are data, not objects to be
 * tracked (chunk-map.ts, chunk-catalogue.ts, dead-objects.ts).
 */
import type { InferEntity } from "@mikro-orm/core";
import { defineEntity, p } from "@mikro-orm/core";
import type {
  BucketProvider,
  BucketState,
  Disposition,
  FileStatus,
  GrantKind,
  UploadStage,
} from "../core/model.js";

/** What time makes of a row is the database's opinion: replicas' clocks may differ. */
const byDatabaseClock = (condition: string) =>
  p.boolean().formula(table => `coalesce(${table}.${condition}, false)`);

export const BucketTable = defineEntity({
  name: "Bucket",
  tableName: "buckets",
  properties: {
    id: p.smallint().primary(),
    name: p.text(),
    provider: p.text().$type<BucketProvider>(),
    region: p.text().strictNullable(),
    domain: p.text().strictNullable(),
    state: p.text().$type<BucketState>(),
    weight: p.integer(),
    createdAt: p.datetime().defaultRaw("now()"),
  },
});
export type BucketRow = InferEntity<typeof BucketTable>;

export const UploadTable = defineEntity({
  name: "Upload",
  tableName: "uploads",
  properties: {
    id: p.uuid().primary(),
    tokenId: p.blob(),
    lease: p.bigint("number").default(0),
    offset: p.bigint("number").default(0),
    length: p.bigint("number").strictNullable(),
    chunkBytes: p.integer(),
    segmentBytes: p.integer(),
    dataChunks: p.smallint(),
    parityChunks: p.smallint(),
    floeHeader: p.blob(),
    meta: p.blob(),
    facts: p.blob(),
    tailBucketId: p.smallint().nullable(),
    tailObjectKey: p.uuid().nullable(),
    tailPlainBytes: p.integer().nullable(),
    movedChunks: p.bigint("number").default(0),
    stage: p.text().$type<UploadStage>().default("receiving"),
    expiresInSeconds: p.bigint("number").strictNullable(),
    maxDownloads: p.integer().strictNullable(),
    hash: p.blob().nullable(),
    createdAt: p.datetime(3).defaultRaw("date_trunc('milliseconds', now())"),
    expiresAt: p.datetime(),
    isExpired: byDatabaseClock("expires_at <= now()"),
    leasedAt: p.datetime().defaultRaw("now()"),
  },
});
export type UploadRow = InferEntity<typeof UploadTable>;

export const FileTable = defineEntity({
  name: "File",
  tableName: "files",
  properties: {
    id: p.uuid().primary(),
    hash: p.blob(),
    core: p.blob(),
    seal: p.blob(),
    meta: p.blob().strictNullable(),
    plainBytes: p.bigint("number"),
    dataChunks: p.smallint(),
    parityChunks: p.smallint(),
    status: p.text().$type<FileStatus>().default("available"),
    createdAt: p.datetime(3).defaultRaw("now()"),
    expiresAt: p.datetime(3).strictNullable(),
    maxDownloads: p.integer().strictNullable(),
    downloadCount: p.integer().default(0),
    retainUntil: p.datetime().nullable(),
    isRetained: byDatabaseClock("retain_until > now()"),
    isPastExpiry: byDatabaseClock("expires_at <= now()"),
    goneAt: p.datetime().nullable(),
    /** True until the last chunk row of a gone file has become a dead object. */
    hasChunks: p.boolean().default(true),
  },
});
export type FileRow = InferEntity<typeof FileTable>;

export const GrantTable = defineEntity({
  name: "Grant",
  tableName: "grants",
  properties: {
    id: p.blob().primary(),
    fileId: p.uuid(),
    kind: p.text().$type<GrantKind>(),
    wrap: p.blob(),
    /** How a link's file is to be shown. */
    disposition: p.text().$type<Disposition>().default("attachment"),
    createdAt: p.datetime(3).defaultRaw("date_trunc('milliseconds', now())"),
    expiresAt: p.datetime().strictNullable(),
    isExpired: byDatabaseClock("expires_at <= now()"),
    maxUses: p.integer().strictNullable(),
    useCount: p.integer().default(0),
    /** Uses whose last byte has been delivered. */
    endedCount: p.integer().default(0),
    revokedAt: p.datetime().nullable(),
  },
});
export type GrantRow = InferEntity<typeof GrantTable>;
