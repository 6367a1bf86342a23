/** What the doors are given. compose.ts makes it; nothing here is made by the doors themselves. */
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { Buckets } from "../core/buckets.js";
import type { Concatenations } from "../core/concat.js";
import type { Downloads } from "../core/downloads.js";
import type { Files } from "../core/files.js";
import type { Links } from "../core/links.js";
import type { AuditTrail } from "../core/audit.js";
import type { BucketDirectory, BucketHealth, BucketSize, Clock, TokenVerifier } from "../core/ports.js";
import type { Catalogue, ChunkCatalogue, LinkCatalogue, Lookup } from "../core/catalogue.js";
import type { Uploads } from "../core/uploads.js";
import type { Verifier } from "../core/verify.js";
import type { IsDatabaseAway } from "./errors.js";
import type { QueryLimits } from "./graphql/query-limits.js";
import type { SenderLimits } from "./limits.js";

export interface ApiDeps {
  readonly uploads: Uploads;
  readonly concatenations: Concatenations;
  readonly downloads: Downloads;
  readonly links: Links;
  readonly files: Files;
  readonly verifier: Verifier;
  readonly catalogue: Catalogue;
  readonly steering: Buckets;
  readonly bucketHealth: BucketHealth;
  /** By the bucket's name. */
  readonly bucketSizes: ReadonlyMap<string, BucketSize>;
  readonly clock: Clock;
  readonly chunkCatalogue: ChunkCatalogue;
  readonly linkCatalogue: LinkCatalogue;
  readonly lookup: Lookup;
  readonly auditTrail: AuditTrail;
  readonly bucketDirectory: Pick<BucketDirectory, "list">;
  /** Knows whose bearer tokens are valid beside the administrator's own; null: nobody's. */
  readonly tokens: TokenVerifier | null;
  readonly log: Logger;
  readonly registry: Registry;
  /** The database answers and a stripe can be written. */
  isReady(): Promise<boolean>;
  readonly isDatabaseAway: IsDatabaseAway;
  /** How clients reach this server, without a slash at the end. A function: the port may be known only once it listens. */
  publicUrl(): string;
  readonly settings: ApiSettings;
}

export interface ApiSettings extends SenderLimits {
  readonly version: string;
  /** How many proxies in front of this server append to X-Forwarded-For. */
  readonly trustProxy: number;
  /** Origins whose pages may call this server; empty: none. */
  readonly corsOrigins: readonly string[];
  /** Null: nobody is an administrator. */
  readonly adminToken: string | null;
  readonly minChunkBytes: number;
  readonly maxChunkBytes: number;
  readonly defaultChunkBytes: number;
  readonly maxUploadBytes: number;
  readonly minPasswordLength: number;
  readonly maxExpiresInSeconds: number;
  /** A download whose reader takes nothing for this long is cut. */
  readonly stallTimeoutMs: number;
  /** How long a client may take over its request headers. */
  readonly headersTimeoutMs: number;
  readonly maxConnections: number;
  /** Whether `/metrics` is served here (to administrators), and not on a port of its own. */
  readonly servesMetrics: boolean;
  /** Whether GraphQL tells its schema. */
  readonly introspection: boolean;
  /** In place of those of graphql/query-limits.ts; for tests. */
  readonly queryLimits?: Partial<QueryLimits>;
}
