/** The words of the program as data: what core passes around and the stores keep. All of it is read-only. */
import type { FileId } from "../format/id.js";
import type { Layout } from "../format/layout.js";
import type { ParityProfile } from "../format/parity/code.js";

export type { ParityProfile };

/** A bucket's number in the chunk map; its name is in the `buckets` table. */
export type BucketId = number;

/** An object's name in its bucket: 32 lower-case hex digits, random, so that it says nothing of the file. */
export type ObjectKey = string;

/** Where one object lies. */
export interface ObjectRef {
  readonly bucketId: BucketId;
  readonly objectKey: ObjectKey;
}

/** One row of the chunk map. Data chunk number = stripe · k + shard while shard < k. */
export interface ChunkRecord extends ObjectRef {
  readonly stripe: number;
  readonly shard: number;
  readonly storedBytes: number;
  /** SHA-256 of the stored object. */
  readonly digest: Uint8Array;
}

/** The durable bytes after the last whole chunk of an open upload: one object, a FLOE message of its own. */
export interface Tail extends ObjectRef {
  readonly plainBytes: number;
}

export type UploadStage = "receiving" | "finished" | "failed" | "abandoned" | "expired";

/** A file still arriving. Its id becomes the file's id. */
export interface Upload {
  readonly id: FileId;
  /** Rises with every writer that takes over; a commit under an older number fails. */
  readonly lease: number;
  /** Plain bytes that are durable. */
  readonly offset: number;
  /** Declared plain length; null while the client has not told it. */
  readonly length: number | null;
  readonly layout: Layout;
  readonly parity: ParityProfile;
  /** FLOE header of the body: drawn when the upload begins, so that any writer can go on. */
  readonly floeHeader: Uint8Array;
  /** Sealed {@link FileMeta}. */
  readonly meta: Uint8Array;
  /** Sealed {@link UploadFacts}. */
  readonly facts: Uint8Array;
  readonly tail: Tail | null;
  /** How many of its chunks a drain has moved. If it rises, what was read of the chunk map before is old. */
  readonly movedChunks: number;
  readonly stage: UploadStage;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** By the database's clock. */
  readonly isExpired: boolean;
  /** What the file is to have once finished. */
  readonly terms: FileTerms;
  /** Hash of the file that came of it. */
  readonly hash: string | null;
}

/** An upload as its token's holder has it. */
export interface HeldUpload extends Upload {
  /** The upload grant's record, which the token opens; null once the upload has ended. */
  readonly wrap: Uint8Array | null;
}

/** How long and how often a file may be had; null: without limit. */
export interface FileTerms {
  readonly expiresInSeconds: number | null;
  readonly maxDownloads: number | null;
}

export type GrantKind = "password" | "link" | "upload";

/** How a link gives its file to a browser: to be saved, or, where its media type is harmless, to be shown. */
export type Disposition = "attachment" | "inline";

/** A row that lets its holder open a file or continue an upload. */
export interface Grant {
  /** 16 bytes; for links and uploads derived from the token, for passwords random. */
  readonly id: Uint8Array;
  readonly fileId: FileId;
  readonly kind: GrantKind;
  /** The DEK, wrapped (design §3). */
  readonly wrap: Uint8Array;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly isExpired: boolean;
  readonly maxUses: number | null;
  readonly useCount: number;
  readonly revokedAt: Date | null;
  /** Of links alone; the others have the default, `attachment`. */
  readonly disposition: Disposition;
}

/** `available`: whole · `degraded`: being rebuilt · `unavailable`: beyond its parity · `gone`: shredded. */
export type FileStatus = "available" | "degraded" | "unavailable" | "gone";

/** A finished, immutable upload. */
export interface StoredFile {
  readonly id: FileId;
  /** 64 hex digits: SHA-256 over `core`. */
  readonly hash: string;
  /** The encoded core (format/core.ts): layout, length, FLOE header, commitment, root. */
  readonly core: Uint8Array;
  /** HMAC of the core under the DEK. */
  readonly seal: Uint8Array;
  /** Sealed {@link FileMeta}; null once shredded. */
  readonly meta: Uint8Array | null;
  readonly plainBytes: number;
  readonly parity: ParityProfile;
  readonly status: FileStatus;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly maxDownloads: number | null;
  readonly downloadCount: number;
  readonly retainUntil: Date | null;
  /** By the database's clock: it cannot be deleted yet. */
  readonly isRetained: boolean;
  /** By the database's clock, and not retained: as good as gone, though the sweep has not come yet. */
  readonly isExpired: boolean;
}

/** Terms of a finished file that change; those that are absent stay. */
export type NewTerms = Partial<Pick<StoredFile, "expiresAt" | "maxDownloads" | "retainUntil">>;

export type BucketState = "active" | "read_only" | "draining" | "disabled";
export type BucketProvider = "gcs" | "disk" | "memory";

/** What is known of a bucket beside its content. */
export interface BucketRecord {
  readonly id: BucketId;
  /** As configured, without options: `gs://name`, `file:///path`. */
  readonly name: string;
  readonly provider: BucketProvider;
  readonly region: string | null;
  /** Buckets of one failure domain fail together; null: a domain of its own. */
  readonly domain: string | null;
  readonly state: BucketState;
  /** Relative share of new chunks. */
  readonly weight: number;
}

export type Role = "uploader" | "admin";

/** Who holds a token. */
export interface Identity {
  readonly roles: ReadonlySet<Role>;
  /** For the audit log alone; null: nobody in particular. */
  readonly name: string | null;
}

/** Who asks. Without a token: no roles and no name. */
export interface Caller extends Identity {
  /** Network address, for limits; IPv6 is cut to its /64. */
  readonly address: string;
  /** The whole address, for the audit log. */
  readonly ip: string;
  /** Of the request that is being answered: the same in the log, the audit log and the answer. */
  readonly requestId: string;
}
