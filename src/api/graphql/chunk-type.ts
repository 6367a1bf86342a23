/** One row of the chunk map as the schema shows it. */
import { Field, Int, ObjectType, registerEnumType } from "type-graphql";
import type { ChunkView } from "../../core/catalogue.js";
import type { BucketId, StoredFile } from "../../core/model.js";
import { decodeCore } from "../../format/core.js";
import { plainBytesPerChunk } from "../../format/layout.js";
import { globalId } from "./ids.js";
import { NodeType } from "./node.js";
import { connectionType } from "./pages.js";
import { ByteSize, DateTime, Sha256 } from "./scalars.js";

export enum ChunkKind {
  DATA = "data",
  PARITY = "parity",
}

export enum ChunkState {
  STORED = "stored",
  MISSING = "missing",
  CORRUPT = "corrupt",
}

registerEnumType(ChunkKind, { name: "ChunkKind" });
registerEnumType(ChunkState, { name: "ChunkState" });

@ObjectType("Chunk", {
  implements: NodeType,
  description: "One stored object of an encrypted file: a data chunk or a parity chunk. Admin.",
})
export class ChunkType
  extends NodeType
  implements Pick<ChunkView, "stripe" | "shard" | "objectKey" | "writtenAt" | "lastVerifiedAt">
{
  @Field(() => ChunkKind) kind!: `${ChunkKind}`;

  @Field(() => Int, {
    nullable: true,
    description: "Place among the data chunks, from 0; null for a parity chunk.",
  })
  index!: number | null;

  @Field(() => Int, { description: "The stripe, from 0." }) stripe!: number;

  @Field(() => Int, { description: "Place in the stripe: data chunks first, then parity chunks." })
  shard!: number;

  @Field(() => ByteSize, {
    nullable: true,
    description: "First plain byte of this chunk; null for a parity chunk.",
  })
  offset!: number | null;

  @Field(() => ByteSize, { description: "Stored bytes." }) storedSize!: number;
  @Field(() => Sha256, { description: "SHA-256 of the stored bytes." }) digest!: string;
  @Field(() => String) objectKey!: string;
  @Field(() => ChunkState) state!: `${ChunkState}`;
  @Field(() => DateTime) writtenAt!: Date;
  @Field(() => DateTime, { nullable: true }) lastVerifiedAt!: Date | null;

  /** Where the field `bucket` begins. */
  bucketId!: BucketId;
}

export const ChunkConnection = connectionType("Chunk", () => ChunkType);

/** The view of each chunk of one file. */
export function chunkView(file: Pick<StoredFile, "core" | "parity">): (chunk: ChunkView) => ChunkType {
  const { dataChunks } = file.parity;
  const plainBytes = plainBytesPerChunk(decodeCore(file.core));
  return chunk => {
    const isData = chunk.shard < dataChunks;
    const index = chunk.stripe * dataChunks + chunk.shard;
    return {
      id: globalId("Chunk", chunk.fileId, chunk.stripe, chunk.shard),
      kind: isData ? "data" : "parity",
      index: isData ? index : null,
      stripe: chunk.stripe,
      shard: chunk.shard,
      offset: isData ? index * plainBytes : null,
      storedSize: chunk.storedBytes,
      digest: Buffer.from(chunk.digest).toString("hex"),
      objectKey: chunk.objectKey,
      state: chunk.state,
      writtenAt: chunk.writtenAt,
      lastVerifiedAt: chunk.lastVerifiedAt,
      bucketId: chunk.bucketId,
    };
  };
}
