/** A file as the schema shows it, and who sees what of it. */
import { Authorized, Field, Int, ObjectType, registerEnumType } from "type-graphql";
import type { FileMeta } from "../../format/meta.js";
import type { ParityProfile, StoredFile } from "../../core/model.js";
import { decodeCore } from "../../format/core.js";
import { globalId } from "./ids.js";
import { NodeType } from "./node.js";
import { connectionType } from "./pages.js";
import { ByteSize, DateTime, Sha256 } from "./scalars.js";

export enum FileStatus {
  AVAILABLE = "available",
  DEGRADED = "degraded",
  UNAVAILABLE = "unavailable",
  GONE = "gone",
}

registerEnumType(FileStatus, {
  name: "FileStatus",
  valuesConfig: {
    AVAILABLE: { description: "Can be retrieved; every chunk is in its place." },
    DEGRADED: {
      description: "Can be retrieved, but chunks are missing or corrupt and are being rebuilt from parity.",
    },
    UNAVAILABLE: { description: "More chunks of a stripe are gone than its parity can rebuild." },
    GONE: { description: "Past its expiry or download limit, or deleted: shredded." },
  },
});

@ObjectType("Parity", {
  description:
    "Each stripe: this many data chunks and this many parity chunks, all in different buckets. Any `parityChunks` of them may be lost.",
})
export class ParityType implements ParityProfile {
  @Field(() => Int) dataChunks!: number;
  @Field(() => Int) parityChunks!: number;
}

/** What may be known of a StoredFile. A field not named here is not public. */
@ObjectType("File", {
  implements: NodeType,
  description: `
A stored file: encrypted with its password, cut into chunks, the chunks
scattered over the buckets.

Who sees what:
- anyone who knows the hash (it cannot be guessed): \`id hash status size createdAt expiresAt remainingDownloads\`
- with the password (in the payload of a mutation that was given it): also \`name mediaType sha256\`
- admins only: \`chunkCount chunkSize parity chunks placement downloadCount downloadLinks auditEvents\` (never the name: an administrator cannot open a file)

A field you may not see is \`null\`; it never fails the whole query.`.trim(),
})
export class FileType
  extends NodeType
  implements Pick<StoredFile, "hash" | "createdAt" | "expiresAt" | "parity" | "downloadCount">
{
  @Field(() => Sha256, { description: "The handle under which the file is retrieved." }) hash!: string;
  @Field(() => FileStatus) status!: `${FileStatus}`;
  @Field(() => ByteSize, { description: "Size of the plain file." }) size!: number;
  @Field(() => DateTime) createdAt!: Date;

  @Field(() => DateTime, {
    nullable: true,
    description: "When the file and its chunks are deleted; null: kept until someone deletes it.",
  })
  expiresAt!: Date | null;

  @Field(() => Int, {
    nullable: true,
    description: "Downloads left before the file is deleted; null: no limit.",
  })
  remainingDownloads!: number | null;

  @Field(() => String, { nullable: true, description: "Original file name. Password." })
  name!: string | null;

  @Field(() => String, { nullable: true, description: "Media type as the uploader gave it. Password." })
  mediaType!: string | null;

  @Field(() => Sha256, { nullable: true, description: "SHA-256 of the plain bytes. Password." })
  sha256!: string | null;

  @Authorized("admin")
  @Field(() => ByteSize, {
    nullable: true,
    description: "Stored bytes of one chunk; the last may be shorter. Admin.",
  })
  chunkSize!: number;

  @Authorized("admin")
  @Field(() => ParityType, { nullable: true, description: "Redundancy of each stripe. Admin." })
  parity!: ParityProfile;

  @Authorized("admin")
  @Field(() => Int, { nullable: true, description: "Admin." })
  chunkCount!: number;

  @Authorized("admin")
  @Field(() => Int, { nullable: true, description: "Admin." })
  downloadCount!: number;

  /** Where the field `chunks` begins. */
  source!: StoredFile;
}

export const FileConnection = connectionType("File", () => FileType);

/** `meta` only where the caller has just shown the password. */
export function fileView(source: StoredFile, meta: FileMeta | null): FileType {
  const { hash, status, plainBytes, createdAt, expiresAt, maxDownloads, downloadCount, parity } = source;
  const { chunkBytes, chunkCount } = decodeCore(source.core);
  return {
    id: globalId("File", hash),
    hash,
    status,
    size: plainBytes,
    createdAt,
    expiresAt,
    remainingDownloads: maxDownloads === null ? null : Math.max(0, maxDownloads - downloadCount),
    name: meta?.name ?? null,
    mediaType: meta?.mediaType ?? null,
    sha256: meta?.sha256 ?? null,
    chunkSize: chunkBytes,
    parity,
    chunkCount,
    downloadCount,
    source,
  };
}
