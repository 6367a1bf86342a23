/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
export type AbandonUploadInput = {
  /** The tus URL or its token. */
  token: string;
};

export type AuditAction =
  | 'BUCKET_CHANGED'
  | 'CHUNK_REPAIRED'
  | 'FILE_DELETED'
  | 'FILE_DOWNLOADED'
  | 'FILE_EXPIRED'
  | 'FILE_UNLOCKED'
  | 'FILE_UPDATED'
  | 'FILE_VERIFIED'
  | 'LINK_CREATED'
  | 'LINK_REVOKED'
  | 'UPLOAD_ABANDONED'
  | 'UPLOAD_CREATED'
  | 'UPLOAD_FINISHED';

export type AuditFilter = {
  action?: Array<AuditAction> | null | undefined;
  bucketId?: string | number | null | undefined;
  /** A file's, its upload's events among them. */
  fileHash?: string | null | undefined;
  outcome?: Array<AuditOutcome> | null | undefined;
  /** Inclusive. */
  since?: string | null | undefined;
  /** Exclusive. */
  until?: string | null | undefined;
};

export type AuditOutcome =
  /** A rule refused it; `message` says which. */
  | 'DENIED'
  /** It was allowed, and something broke; `message` says what. */
  | 'FAILED'
  | 'SUCCESS';

export type BucketProvider =
  | 'AZURE'
  | 'DISK'
  | 'GCS'
  | 'MEMORY'
  | 'S3';

export type BucketState =
  /** Takes new chunks. */
  | 'ACTIVE'
  | 'DISABLED'
  /** Its chunks are being moved away. */
  | 'DRAINING'
  /** Read only. */
  | 'READ_ONLY';

export type ChangeFilePasswordInput = {
  currentPassword: string;
  hash: string;
  newPassword: string;
  /** Also revoke every link made with the old password. */
  revokeLinks?: boolean | null | undefined;
};

/** All that are given must hold. */
export type ChunkFilter = {
  bucketId?: string | number | null | undefined;
  kind?: ChunkKind | null | undefined;
  /** Any of these. */
  state?: Array<ChunkState> | null | undefined;
};

export type ChunkKind =
  | 'DATA'
  | 'PARITY';

export type ChunkState =
  | 'CORRUPT'
  | 'MISSING'
  | 'STORED';

export type CreateDownloadLinkInput = {
  disposition?: Disposition | null | undefined;
  expiresIn?: string | null | undefined;
  hash: string;
  /** Default: no limit within the link's life. */
  maxDownloads?: number | null | undefined;
  password: string;
};

export type CreateUploadInput = {
  /** Stored bytes of one chunk. Default: `serverInfo.defaultChunkSize`. */
  chunkSize?: number | null | undefined;
  /** Refuse the upload if the plain bytes do not have this digest. */
  expectedSha256?: string | null | undefined;
  /** From the end of the upload. Default: the file is kept until someone deletes it. */
  expiresIn?: string | null | undefined;
  filename: string;
  /** Default: no limit. */
  maxDownloads?: number | null | undefined;
  mediaType?: string | null | undefined;
  /** Used to encrypt; never stored. */
  password: string;
  /** Give it where known; leave it out for a stream of unknown length. */
  size?: number | null | undefined;
};

export type DeleteFileInput = {
  hash: string;
  /** Not needed by an admin. */
  password?: string | null | undefined;
};

export type Disposition =
  /** The browser saves the file. */
  | 'ATTACHMENT'
  /** The browser shows the file, if it is a raster image, audio, video or plain text; it saves all others. */
  | 'INLINE';

/** All that are given must hold. */
export type FileFilter = {
  /** Only files with at least one chunk in this bucket. */
  bucketId?: string | number | null | undefined;
  /** Exclusive. */
  createdAfter?: string | null | undefined;
  /** Exclusive. */
  createdBefore?: string | null | undefined;
  /** Hash prefix, at least 4 digits. */
  hashStartsWith?: string | null | undefined;
  /** Inclusive. */
  sizeAtLeast?: number | null | undefined;
  /** Inclusive. */
  sizeAtMost?: number | null | undefined;
  /** Any of these. */
  status?: Array<FileStatus> | null | undefined;
};

/** Files that are equal in `field` are in the order of their ids. */
export type FileOrder = {
  direction?: OrderDirection;
  field?: FileOrderField;
};

export type FileOrderField =
  | 'CREATED_AT'
  | 'DOWNLOAD_COUNT'
  /** A file that never expires comes after all that do, when ascending. */
  | 'EXPIRES_AT'
  | 'SIZE';

export type FileStatus =
  /** Can be retrieved; every chunk is in its place. */
  | 'AVAILABLE'
  /** Can be retrieved, but chunks are missing or corrupt and are being rebuilt from parity. */
  | 'DEGRADED'
  /** Past its expiry or download limit, or deleted: shredded. */
  | 'GONE'
  /** More chunks of a stripe are gone than its parity can rebuild. */
  | 'UNAVAILABLE';

export type OrderDirection =
  | 'ASC'
  | 'DESC';

export type RevokeDownloadLinkInput = {
  id: string | number;
  /** Not needed by an admin. */
  password?: string | null | undefined;
};

export type UnlockFileInput = {
  hash: string;
  password: string;
};

export type UpdateBucketInput = {
  id: string | number;
  state?: BucketState | null | undefined;
  weight?: number | null | undefined;
};

/** What is left out stays as it is. */
export type UpdateFileInput = {
  /** Null: kept until someone deletes it. */
  expiresAt?: string | null | undefined;
  hash: string;
  /** Over the whole life of the file: downloads that were had count. No fewer than those; as many end the file. Null: no limit. */
  maxDownloads?: number | null | undefined;
  /** Not needed by an admin. */
  password?: string | null | undefined;
  /** Cannot be deleted, and does not expire, before this time; can only be moved later. Admin. */
  retainUntil?: string | null | undefined;
};

export type UploadFileInput = {
  chunkSize?: number | null | undefined;
  expectedSha256?: string | null | undefined;
  expiresIn?: string | null | undefined;
  file: null;
  maxDownloads?: number | null | undefined;
  password: string;
};

export type UploadStage =
  /** Its client has given it up. */
  | 'ABANDONED'
  /** It got no bytes for too long. */
  | 'EXPIRED'
  /** All bytes came, but they are not what was announced: see `failure`. */
  | 'FAILED'
  /** All bytes came: there is a file. */
  | 'FINISHED'
  /** Takes bytes at its offset. */
  | 'RECEIVING';

export type UserErrorCode =
  | 'BUCKET_IN_USE'
  | 'CHECKSUM_MISMATCH'
  | 'CHUNK_SIZE_OUT_OF_RANGE'
  | 'EXPIRY_OUT_OF_RANGE'
  | 'FILE_GONE'
  | 'FILE_RETAINED'
  | 'FILE_TOO_LARGE'
  | 'FILE_UNAVAILABLE'
  | 'LINK_ALREADY_REVOKED'
  | 'MAX_DOWNLOADS_OUT_OF_RANGE'
  | 'MISSING_PASSWORD'
  | 'NOT_FOUND'
  | 'PASSWORD_TOO_COMMON'
  | 'PASSWORD_TOO_LONG'
  | 'PASSWORD_TOO_SHORT'
  | 'STORAGE_FULL'
  /** Too many wrong passwords for this file; try again after `retryAfterSeconds`. */
  | 'TOO_MANY_ATTEMPTS'
  | 'UPLOAD_ALREADY_FINISHED'
  | 'UPLOAD_EXPIRED'
  | 'WRONG_PASSWORD';

export type VerifyFileInput = {
  hash: string;
};

export type FilesQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
  filter?: FileFilter | null | undefined;
  orderBy?: FileOrder | null | undefined;
}>;


export type FilesQuery = { files: { totalCount: number, edges: Array<{ cursor: string }>, nodes: Array<{ name: string | null, chunkCount: number | null, downloadCount: number | null, id: string, hash: string, status: FileStatus, size: number, createdAt: string, expiresAt: string | null, remainingDownloads: number | null }>, pageInfo: { hasNextPage: boolean, hasPreviousPage: boolean, startCursor: string | null, endCursor: string | null } } };

export type ChunkMapQueryVariables = Exact<{
  hash: string;
  first?: number | null | undefined;
  after?: string | null | undefined;
  filter?: ChunkFilter | null | undefined;
}>;


export type ChunkMapQuery = { file: { chunks: { totalCount: number, nodes: Array<{ id: string, kind: ChunkKind, index: number | null, stripe: number, shard: number, offset: number | null, storedSize: number, digest: string, objectKey: string, state: ChunkState, writtenAt: string, lastVerifiedAt: string | null, bucket: { id: string, name: string, provider: BucketProvider, state: BucketState } }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null } | null };

export type BucketFactsFragment = { id: string, name: string, provider: BucketProvider, region: string | null, state: BucketState, weight: number, usedSize: number, capacity: number | null, chunkCount: number, health: { reachable: boolean, checkedAt: string, latencyMsP50: number | null, latencyMsP95: number | null, errorRate: number | null, lastError: string | null } };

export type BucketsQueryVariables = Exact<{ [key: string]: never; }>;


export type BucketsQuery = { buckets: Array<{ id: string, name: string, provider: BucketProvider, region: string | null, state: BucketState, weight: number, usedSize: number, capacity: number | null, chunkCount: number, health: { reachable: boolean, checkedAt: string, latencyMsP50: number | null, latencyMsP95: number | null, errorRate: number | null, lastError: string | null } }> };

export type UpdateBucketMutationVariables = Exact<{
  input: UpdateBucketInput;
}>;


export type UpdateBucketMutation = { updateBucket: { bucket: { id: string, name: string, provider: BucketProvider, region: string | null, state: BucketState, weight: number, usedSize: number, capacity: number | null, chunkCount: number, health: { reachable: boolean, checkedAt: string, latencyMsP50: number | null, latencyMsP95: number | null, errorRate: number | null, lastError: string | null } } | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type AuditFactsFragment = { id: string, at: string, action: AuditAction, outcome: AuditOutcome, fileHash: string | null, uploadId: string | null, actor: string | null, clientIp: string | null, requestId: string | null, message: string | null, count: number, entry: string, bucket: { name: string } | null };

export type AuditEventsQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
  filter?: AuditFilter | null | undefined;
}>;


export type AuditEventsQuery = { auditEvents: { edges: Array<{ cursor: string }>, nodes: Array<{ id: string, at: string, action: AuditAction, outcome: AuditOutcome, fileHash: string | null, uploadId: string | null, actor: string | null, clientIp: string | null, requestId: string | null, message: string | null, count: number, entry: string, bucket: { name: string } | null }>, pageInfo: { hasNextPage: boolean, hasPreviousPage: boolean, startCursor: string | null, endCursor: string | null } } };

export type FileAuditEventsQueryVariables = Exact<{
  hash: string;
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type FileAuditEventsQuery = { file: { auditEvents: { nodes: Array<{ id: string, at: string, action: AuditAction, outcome: AuditOutcome, fileHash: string | null, uploadId: string | null, actor: string | null, clientIp: string | null, requestId: string | null, message: string | null, count: number, entry: string, bucket: { name: string } | null }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null } | null };

export type PlacementQueryVariables = Exact<{
  hash: string;
}>;


export type PlacementQuery = { file: { placement: Array<{ chunkCount: number, storedSize: number, bucket: { id: string, name: string }, ranges: Array<{ first: number, last: number, chunkCount: number }> }> | null } | null };

export type FilesInSumQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type FilesInSumQuery = { files: { totalCount: number, nodes: Array<{ chunkCount: number | null, id: string, hash: string, status: FileStatus, size: number, createdAt: string, expiresAt: string | null, remainingDownloads: number | null, placement: Array<{ chunkCount: number, storedSize: number, bucket: { id: string, name: string, usedSize: number } }> | null, chunks: { totalCount: number, nodes: Array<{ id: string, index: number | null, bucket: { id: string } }> } | null, auditEvents: { nodes: Array<{ action: AuditAction }> } | null }> } };

export type StorageStatsQueryVariables = Exact<{ [key: string]: never; }>;


export type StorageStatsQuery = { storageStats: { fileCount: number, chunkCount: number, plainSize: number, storedSize: number, degradedFileCount: number, unavailableFileCount: number, uploadsUnderWay: number, byBucket: Array<{ chunkCount: number, storedSize: number, bucket: { id: string, name: string } }> } };

export type NodeQueryVariables = Exact<{
  id: string | number;
}>;


export type NodeQuery = { node:
    | { __typename: 'AuditEvent', id: string }
    | { __typename: 'Bucket', name: string, id: string }
    | { __typename: 'Chunk', index: number | null, objectKey: string, id: string, bucket: { id: string } }
    | { __typename: 'DownloadLink', expiresAt: string, downloadCount: number, id: string }
    | { __typename: 'File', hash: string, id: string }
    | { __typename: 'UploadSession', stage: UploadStage, offset: number, id: string }
   | null };

export type DownloadLinksQueryVariables = Exact<{
  hash: string;
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type DownloadLinksQuery = { file: { downloadLinks: { totalCount: number, nodes: Array<{ id: string, createdAt: string, expiresAt: string, maxDownloads: number | null, downloadCount: number, revokedAt: string | null }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null } | null };

export type VerifyFileMutationVariables = Exact<{
  input: VerifyFileInput;
}>;


export type VerifyFileMutation = { verifyFile: { checkedChunks: number, badChunks: number, repairedChunks: number, file: { hash: string, status: FileStatus } | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type PublicFileFragment = { id: string, hash: string, status: FileStatus, size: number, createdAt: string, expiresAt: string | null, remainingDownloads: number | null };

export type UnlockedFileFragment = { name: string | null, mediaType: string | null, sha256: string | null, id: string, hash: string, status: FileStatus, size: number, createdAt: string, expiresAt: string | null, remainingDownloads: number | null };

export type MistakeFragment = { code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null };

export type ServerInfoQueryVariables = Exact<{ [key: string]: never; }>;


export type ServerInfoQuery = { serverInfo: { version: string, maxFileSize: number | null, maxMultipartSize: number, defaultChunkSize: number, minChunkSize: number, maxChunkSize: number, minPasswordLength: number, defaultExpiresIn: string | null, maxExpiresIn: string | null, tusEndpoint: string } };

export type FileByHashQueryVariables = Exact<{
  hash: string;
}>;


export type FileByHashQuery = { file: { chunkSize: number | null, chunkCount: number | null, downloadCount: number | null, name: string | null, mediaType: string | null, sha256: string | null, id: string, hash: string, status: FileStatus, size: number, createdAt: string, expiresAt: string | null, remainingDownloads: number | null, parity: { dataChunks: number, parityChunks: number } | null } | null };

export type UploadFileMutationVariables = Exact<{
  input: UploadFileInput;
}>;


export type UploadFileMutation = { uploadFile: { file: { name: string | null, mediaType: string | null, sha256: string | null, id: string, hash: string, status: FileStatus, size: number, createdAt: string, expiresAt: string | null, remainingDownloads: number | null } | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type UnlockFileMutationVariables = Exact<{
  input: UnlockFileInput;
}>;


export type UnlockFileMutation = { unlockFile: { file: { name: string | null, mediaType: string | null, sha256: string | null, id: string, hash: string, status: FileStatus, size: number, createdAt: string, expiresAt: string | null, remainingDownloads: number | null } | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type CreateDownloadLinkMutationVariables = Exact<{
  input: CreateDownloadLinkInput;
}>;


export type CreateDownloadLinkMutation = { createDownloadLink: { url: string | null, link: { id: string, createdAt: string, expiresAt: string, maxDownloads: number | null, downloadCount: number, revokedAt: string | null } | null, file: { name: string | null, mediaType: string | null, sha256: string | null, id: string, hash: string, status: FileStatus, size: number, createdAt: string, expiresAt: string | null, remainingDownloads: number | null } | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type DeleteFileMutationVariables = Exact<{
  input: DeleteFileInput;
}>;


export type DeleteFileMutation = { deleteFile: { deletedHash: string | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type RevokeDownloadLinkMutationVariables = Exact<{
  input: RevokeDownloadLinkInput;
}>;


export type RevokeDownloadLinkMutation = { revokeDownloadLink: { link: { id: string, revokedAt: string | null } | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type UpdateFileMutationVariables = Exact<{
  input: UpdateFileInput;
}>;


export type UpdateFileMutation = { updateFile: { file: { name: string | null, mediaType: string | null, sha256: string | null, id: string, hash: string, status: FileStatus, size: number, createdAt: string, expiresAt: string | null, remainingDownloads: number | null } | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type ChangeFilePasswordMutationVariables = Exact<{
  input: ChangeFilePasswordInput;
}>;


export type ChangeFilePasswordMutation = { changeFilePassword: { file: { name: string | null, mediaType: string | null, sha256: string | null, id: string, hash: string, status: FileStatus, size: number, createdAt: string, expiresAt: string | null, remainingDownloads: number | null } | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type SessionFragment = { id: string, tusUrl: string | null, stage: UploadStage, size: number | null, offset: number, storedChunkCount: number, createdAt: string, expiresAt: string, file: { hash: string, status: FileStatus, size: number, name: string | null, mediaType: string | null, chunkCount: number | null } | null, failure: { code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null } | null };

export type CreateUploadMutationVariables = Exact<{
  input: CreateUploadInput;
}>;


export type CreateUploadMutation = { createUpload: { upload: { id: string, tusUrl: string | null, stage: UploadStage, size: number | null, offset: number, storedChunkCount: number, createdAt: string, expiresAt: string, file: { hash: string, status: FileStatus, size: number, name: string | null, mediaType: string | null, chunkCount: number | null } | null, failure: { code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null } | null } | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type AbandonUploadMutationVariables = Exact<{
  input: AbandonUploadInput;
}>;


export type AbandonUploadMutation = { abandonUpload: { upload: { id: string, tusUrl: string | null, stage: UploadStage, size: number | null, offset: number, storedChunkCount: number, createdAt: string, expiresAt: string, file: { hash: string, status: FileStatus, size: number, name: string | null, mediaType: string | null, chunkCount: number | null } | null, failure: { code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null } | null } | null, userErrors: Array<{ code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null }> } };

export type UploadSessionQueryVariables = Exact<{
  token: string;
}>;


export type UploadSessionQuery = { uploadSession: { id: string, tusUrl: string | null, stage: UploadStage, size: number | null, offset: number, storedChunkCount: number, createdAt: string, expiresAt: string, file: { hash: string, status: FileStatus, size: number, name: string | null, mediaType: string | null, chunkCount: number | null } | null, failure: { code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null } | null } | null };

export type UploadSessionsQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
  stage?: Array<UploadStage> | UploadStage | null | undefined;
}>;


export type UploadSessionsQuery = { uploadSessions: { totalCount: number, edges: Array<{ cursor: string }>, nodes: Array<{ id: string, tusUrl: string | null, stage: UploadStage, size: number | null, offset: number, storedChunkCount: number, createdAt: string, expiresAt: string, file: { hash: string, status: FileStatus, size: number, name: string | null, mediaType: string | null, chunkCount: number | null } | null, failure: { code: UserErrorCode, message: string, field: Array<string> | null, retryAfterSeconds: number | null } | null }>, pageInfo: { hasNextPage: boolean, hasPreviousPage: boolean, startCursor: string | null, endCursor: string | null } } };

export class TypedDocumentString<TResult, TVariables>
  extends String
  implements DocumentTypeDecoration<TResult, TVariables>
{
  __apiType?: NonNullable<DocumentTypeDecoration<TResult, TVariables>['__apiType']>;
  private value: string;
  public __meta__?: Record<string, any> | undefined;

  constructor(value: string, __meta__?: Record<string, any> | undefined) {
    super(value);
    this.value = value;
    this.__meta__ = __meta__;
  }

  override toString(): string & DocumentTypeDecoration<TResult, TVariables> {
    return this.value;
  }
}
export const BucketFactsFragmentDoc = new TypedDocumentString(`
    fragment BucketFacts on Bucket {
  id
  name
  provider
  region
  state
  weight
  usedSize
  capacity
  chunkCount
  health {
    reachable
    checkedAt
    latencyMsP50
    latencyMsP95
    errorRate
    lastError
  }
}
    `, {"fragmentName":"BucketFacts"}) as unknown as TypedDocumentString<BucketFactsFragment, unknown>;
export const AuditFactsFragmentDoc = new TypedDocumentString(`
    fragment AuditFacts on AuditEvent {
  id
  at
  action
  outcome
  fileHash
  uploadId
  bucket {
    name
  }
  actor
  clientIp
  requestId
  message
  count
  entry
}
    `, {"fragmentName":"AuditFacts"}) as unknown as TypedDocumentString<AuditFactsFragment, unknown>;
export const PublicFileFragmentDoc = new TypedDocumentString(`
    fragment PublicFile on File {
  id
  hash
  status
  size
  createdAt
  expiresAt
  remainingDownloads
}
    `, {"fragmentName":"PublicFile"}) as unknown as TypedDocumentString<PublicFileFragment, unknown>;
export const UnlockedFileFragmentDoc = new TypedDocumentString(`
    fragment UnlockedFile on File {
  ...PublicFile
  name
  mediaType
  sha256
}
    fragment PublicFile on File {
  id
  hash
  status
  size
  createdAt
  expiresAt
  remainingDownloads
}`, {"fragmentName":"UnlockedFile"}) as unknown as TypedDocumentString<UnlockedFileFragment, unknown>;
export const MistakeFragmentDoc = new TypedDocumentString(`
    fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}
    `, {"fragmentName":"Mistake"}) as unknown as TypedDocumentString<MistakeFragment, unknown>;
export const SessionFragmentDoc = new TypedDocumentString(`
    fragment Session on UploadSession {
  id
  tusUrl
  stage
  size
  offset
  storedChunkCount
  createdAt
  expiresAt
  file {
    hash
    status
    size
    name
    mediaType
    chunkCount
  }
  failure {
    ...Mistake
  }
}
    fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}`, {"fragmentName":"Session"}) as unknown as TypedDocumentString<SessionFragment, unknown>;
export const FilesDocument = new TypedDocumentString(`
    query Files($first: Int, $after: String, $last: Int, $before: String, $filter: FileFilter, $orderBy: FileOrder) {
  files(
    first: $first
    after: $after
    last: $last
    before: $before
    filter: $filter
    orderBy: $orderBy
  ) {
    edges {
      cursor
    }
    nodes {
      ...PublicFile
      name
      chunkCount
      downloadCount
    }
    pageInfo {
      hasNextPage
      hasPreviousPage
      startCursor
      endCursor
    }
    totalCount
  }
}
    fragment PublicFile on File {
  id
  hash
  status
  size
  createdAt
  expiresAt
  remainingDownloads
}`) as unknown as TypedDocumentString<FilesQuery, FilesQueryVariables>;
export const ChunkMapDocument = new TypedDocumentString(`
    query ChunkMap($hash: Sha256!, $first: Int, $after: String, $filter: ChunkFilter) {
  file(hash: $hash) {
    chunks(first: $first, after: $after, filter: $filter) {
      nodes {
        id
        kind
        index
        stripe
        shard
        offset
        storedSize
        digest
        objectKey
        state
        writtenAt
        lastVerifiedAt
        bucket {
          id
          name
          provider
          state
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
      totalCount
    }
  }
}
    `) as unknown as TypedDocumentString<ChunkMapQuery, ChunkMapQueryVariables>;
export const BucketsDocument = new TypedDocumentString(`
    query Buckets {
  buckets {
    ...BucketFacts
  }
}
    fragment BucketFacts on Bucket {
  id
  name
  provider
  region
  state
  weight
  usedSize
  capacity
  chunkCount
  health {
    reachable
    checkedAt
    latencyMsP50
    latencyMsP95
    errorRate
    lastError
  }
}`) as unknown as TypedDocumentString<BucketsQuery, BucketsQueryVariables>;
export const UpdateBucketDocument = new TypedDocumentString(`
    mutation UpdateBucket($input: UpdateBucketInput!) {
  updateBucket(input: $input) {
    bucket {
      ...BucketFacts
    }
    userErrors {
      ...Mistake
    }
  }
}
    fragment BucketFacts on Bucket {
  id
  name
  provider
  region
  state
  weight
  usedSize
  capacity
  chunkCount
  health {
    reachable
    checkedAt
    latencyMsP50
    latencyMsP95
    errorRate
    lastError
  }
}
fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}`) as unknown as TypedDocumentString<UpdateBucketMutation, UpdateBucketMutationVariables>;
export const AuditEventsDocument = new TypedDocumentString(`
    query AuditEvents($first: Int, $after: String, $filter: AuditFilter) {
  auditEvents(first: $first, after: $after, filter: $filter) {
    edges {
      cursor
    }
    nodes {
      ...AuditFacts
    }
    pageInfo {
      hasNextPage
      hasPreviousPage
      startCursor
      endCursor
    }
  }
}
    fragment AuditFacts on AuditEvent {
  id
  at
  action
  outcome
  fileHash
  uploadId
  bucket {
    name
  }
  actor
  clientIp
  requestId
  message
  count
  entry
}`) as unknown as TypedDocumentString<AuditEventsQuery, AuditEventsQueryVariables>;
export const FileAuditEventsDocument = new TypedDocumentString(`
    query FileAuditEvents($hash: Sha256!, $first: Int, $after: String) {
  file(hash: $hash) {
    auditEvents(first: $first, after: $after) {
      nodes {
        ...AuditFacts
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
    fragment AuditFacts on AuditEvent {
  id
  at
  action
  outcome
  fileHash
  uploadId
  bucket {
    name
  }
  actor
  clientIp
  requestId
  message
  count
  entry
}`) as unknown as TypedDocumentString<FileAuditEventsQuery, FileAuditEventsQueryVariables>;
export const PlacementDocument = new TypedDocumentString(`
    query Placement($hash: Sha256!) {
  file(hash: $hash) {
    placement {
      bucket {
        id
        name
      }
      chunkCount
      storedSize
      ranges {
        first
        last
        chunkCount
      }
    }
  }
}
    `) as unknown as TypedDocumentString<PlacementQuery, PlacementQueryVariables>;
export const FilesInSumDocument = new TypedDocumentString(`
    query FilesInSum($first: Int, $after: String) {
  files(first: $first, after: $after) {
    nodes {
      ...PublicFile
      chunkCount
      placement {
        bucket {
          id
          name
          usedSize
        }
        chunkCount
        storedSize
      }
      chunks(first: 5) {
        nodes {
          id
          index
          bucket {
            id
          }
        }
        totalCount
      }
      auditEvents(first: 5) {
        nodes {
          action
        }
      }
    }
    totalCount
  }
}
    fragment PublicFile on File {
  id
  hash
  status
  size
  createdAt
  expiresAt
  remainingDownloads
}`) as unknown as TypedDocumentString<FilesInSumQuery, FilesInSumQueryVariables>;
export const StorageStatsDocument = new TypedDocumentString(`
    query StorageStats {
  storageStats {
    fileCount
    chunkCount
    plainSize
    storedSize
    degradedFileCount
    unavailableFileCount
    uploadsUnderWay
    byBucket {
      bucket {
        id
        name
      }
      chunkCount
      storedSize
    }
  }
}
    `) as unknown as TypedDocumentString<StorageStatsQuery, StorageStatsQueryVariables>;
export const NodeDocument = new TypedDocumentString(`
    query Node($id: ID!) {
  node(id: $id) {
    __typename
    id
    ... on File {
      hash
    }
    ... on Chunk {
      index
      objectKey
      bucket {
        id
      }
    }
    ... on Bucket {
      name
    }
    ... on UploadSession {
      stage
      offset
    }
    ... on DownloadLink {
      expiresAt
      downloadCount
    }
  }
}
    `) as unknown as TypedDocumentString<NodeQuery, NodeQueryVariables>;
export const DownloadLinksDocument = new TypedDocumentString(`
    query DownloadLinks($hash: Sha256!, $first: Int, $after: String) {
  file(hash: $hash) {
    downloadLinks(first: $first, after: $after) {
      nodes {
        id
        createdAt
        expiresAt
        maxDownloads
        downloadCount
        revokedAt
      }
      pageInfo {
        hasNextPage
        endCursor
      }
      totalCount
    }
  }
}
    `) as unknown as TypedDocumentString<DownloadLinksQuery, DownloadLinksQueryVariables>;
export const VerifyFileDocument = new TypedDocumentString(`
    mutation VerifyFile($input: VerifyFileInput!) {
  verifyFile(input: $input) {
    file {
      hash
      status
    }
    checkedChunks
    badChunks
    repairedChunks
    userErrors {
      ...Mistake
    }
  }
}
    fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}`) as unknown as TypedDocumentString<VerifyFileMutation, VerifyFileMutationVariables>;
export const ServerInfoDocument = new TypedDocumentString(`
    query ServerInfo {
  serverInfo {
    version
    maxFileSize
    maxMultipartSize
    defaultChunkSize
    minChunkSize
    maxChunkSize
    minPasswordLength
    defaultExpiresIn
    maxExpiresIn
    tusEndpoint
  }
}
    `) as unknown as TypedDocumentString<ServerInfoQuery, ServerInfoQueryVariables>;
export const FileByHashDocument = new TypedDocumentString(`
    query FileByHash($hash: Sha256!) {
  file(hash: $hash) {
    ...UnlockedFile
    chunkSize
    chunkCount
    downloadCount
    parity {
      dataChunks
      parityChunks
    }
  }
}
    fragment PublicFile on File {
  id
  hash
  status
  size
  createdAt
  expiresAt
  remainingDownloads
}
fragment UnlockedFile on File {
  ...PublicFile
  name
  mediaType
  sha256
}`) as unknown as TypedDocumentString<FileByHashQuery, FileByHashQueryVariables>;
export const UploadFileDocument = new TypedDocumentString(`
    mutation UploadFile($input: UploadFileInput!) {
  uploadFile(input: $input) {
    file {
      ...UnlockedFile
    }
    userErrors {
      ...Mistake
    }
  }
}
    fragment PublicFile on File {
  id
  hash
  status
  size
  createdAt
  expiresAt
  remainingDownloads
}
fragment UnlockedFile on File {
  ...PublicFile
  name
  mediaType
  sha256
}
fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}`) as unknown as TypedDocumentString<UploadFileMutation, UploadFileMutationVariables>;
export const UnlockFileDocument = new TypedDocumentString(`
    mutation UnlockFile($input: UnlockFileInput!) {
  unlockFile(input: $input) {
    file {
      ...UnlockedFile
    }
    userErrors {
      ...Mistake
    }
  }
}
    fragment PublicFile on File {
  id
  hash
  status
  size
  createdAt
  expiresAt
  remainingDownloads
}
fragment UnlockedFile on File {
  ...PublicFile
  name
  mediaType
  sha256
}
fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}`) as unknown as TypedDocumentString<UnlockFileMutation, UnlockFileMutationVariables>;
export const CreateDownloadLinkDocument = new TypedDocumentString(`
    mutation CreateDownloadLink($input: CreateDownloadLinkInput!) {
  createDownloadLink(input: $input) {
    link {
      id
      createdAt
      expiresAt
      maxDownloads
      downloadCount
      revokedAt
    }
    url
    file {
      ...UnlockedFile
    }
    userErrors {
      ...Mistake
    }
  }
}
    fragment PublicFile on File {
  id
  hash
  status
  size
  createdAt
  expiresAt
  remainingDownloads
}
fragment UnlockedFile on File {
  ...PublicFile
  name
  mediaType
  sha256
}
fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}`) as unknown as TypedDocumentString<CreateDownloadLinkMutation, CreateDownloadLinkMutationVariables>;
export const DeleteFileDocument = new TypedDocumentString(`
    mutation DeleteFile($input: DeleteFileInput!) {
  deleteFile(input: $input) {
    deletedHash
    userErrors {
      ...Mistake
    }
  }
}
    fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}`) as unknown as TypedDocumentString<DeleteFileMutation, DeleteFileMutationVariables>;
export const RevokeDownloadLinkDocument = new TypedDocumentString(`
    mutation RevokeDownloadLink($input: RevokeDownloadLinkInput!) {
  revokeDownloadLink(input: $input) {
    link {
      id
      revokedAt
    }
    userErrors {
      ...Mistake
    }
  }
}
    fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}`) as unknown as TypedDocumentString<RevokeDownloadLinkMutation, RevokeDownloadLinkMutationVariables>;
export const UpdateFileDocument = new TypedDocumentString(`
    mutation UpdateFile($input: UpdateFileInput!) {
  updateFile(input: $input) {
    file {
      ...UnlockedFile
    }
    userErrors {
      ...Mistake
    }
  }
}
    fragment PublicFile on File {
  id
  hash
  status
  size
  createdAt
  expiresAt
  remainingDownloads
}
fragment UnlockedFile on File {
  ...PublicFile
  name
  mediaType
  sha256
}
fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}`) as unknown as TypedDocumentString<UpdateFileMutation, UpdateFileMutationVariables>;
export const ChangeFilePasswordDocument = new TypedDocumentString(`
    mutation ChangeFilePassword($input: ChangeFilePasswordInput!) {
  changeFilePassword(input: $input) {
    file {
      ...UnlockedFile
    }
    userErrors {
      ...Mistake
    }
  }
}
    fragment PublicFile on File {
  id
  hash
  status
  size
  createdAt
  expiresAt
  remainingDownloads
}
fragment UnlockedFile on File {
  ...PublicFile
  name
  mediaType
  sha256
}
fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}`) as unknown as TypedDocumentString<ChangeFilePasswordMutation, ChangeFilePasswordMutationVariables>;
export const CreateUploadDocument = new TypedDocumentString(`
    mutation CreateUpload($input: CreateUploadInput!) {
  createUpload(input: $input) {
    upload {
      ...Session
    }
    userErrors {
      ...Mistake
    }
  }
}
    fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}
fragment Session on UploadSession {
  id
  tusUrl
  stage
  size
  offset
  storedChunkCount
  createdAt
  expiresAt
  file {
    hash
    status
    size
    name
    mediaType
    chunkCount
  }
  failure {
    ...Mistake
  }
}`) as unknown as TypedDocumentString<CreateUploadMutation, CreateUploadMutationVariables>;
export const AbandonUploadDocument = new TypedDocumentString(`
    mutation AbandonUpload($input: AbandonUploadInput!) {
  abandonUpload(input: $input) {
    upload {
      ...Session
    }
    userErrors {
      ...Mistake
    }
  }
}
    fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}
fragment Session on UploadSession {
  id
  tusUrl
  stage
  size
  offset
  storedChunkCount
  createdAt
  expiresAt
  file {
    hash
    status
    size
    name
    mediaType
    chunkCount
  }
  failure {
    ...Mistake
  }
}`) as unknown as TypedDocumentString<AbandonUploadMutation, AbandonUploadMutationVariables>;
export const UploadSessionDocument = new TypedDocumentString(`
    query UploadSession($token: String!) {
  uploadSession(token: $token) {
    ...Session
  }
}
    fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}
fragment Session on UploadSession {
  id
  tusUrl
  stage
  size
  offset
  storedChunkCount
  createdAt
  expiresAt
  file {
    hash
    status
    size
    name
    mediaType
    chunkCount
  }
  failure {
    ...Mistake
  }
}`) as unknown as TypedDocumentString<UploadSessionQuery, UploadSessionQueryVariables>;
export const UploadSessionsDocument = new TypedDocumentString(`
    query UploadSessions($first: Int, $after: String, $stage: [UploadStage!]) {
  uploadSessions(first: $first, after: $after, stage: $stage) {
    edges {
      cursor
    }
    nodes {
      ...Session
    }
    pageInfo {
      hasNextPage
      hasPreviousPage
      startCursor
      endCursor
    }
    totalCount
  }
}
    fragment Mistake on UserError {
  code
  message
  field
  retryAfterSeconds
}
fragment Session on UploadSession {
  id
  tusUrl
  stage
  size
  offset
  storedChunkCount
  createdAt
  expiresAt
  file {
    hash
    status
    size
    name
    mediaType
    chunkCount
  }
  failure {
    ...Mistake
  }
}`) as unknown as TypedDocumentString<UploadSessionsQuery, UploadSessionsQueryVariables>;