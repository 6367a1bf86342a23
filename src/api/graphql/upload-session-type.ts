/** An upload as the schema shows it, to whoever holds its token and to administrators. */
import { Field, Int, ObjectType, registerEnumType } from "type-graphql";
import { VaultError } from "../../core/errors.js";
import type { Upload } from "../../core/model.js";
import { plainBytesPerChunk } from "../../format/layout.js";
import { UserErrorType, userErrorOf } from "./errors.js";
import { globalId } from "./ids.js";
import { NodeType } from "./node.js";
import { connectionType } from "./pages.js";
import { ByteSize, DateTime } from "./scalars.js";

export enum UploadStage {
  RECEIVING = "receiving",
  FINISHED = "finished",
  FAILED = "failed",
  ABANDONED = "abandoned",
  EXPIRED = "expired",
}

registerEnumType(UploadStage, {
  name: "UploadStage",
  valuesConfig: {
    RECEIVING: { description: "Takes bytes at its offset." },
    FINISHED: { description: "All bytes came: there is a file." },
    FAILED: { description: "All bytes came, but they are not what was announced: see `failure`." },
    ABANDONED: { description: "Its client has given it up." },
    EXPIRED: { description: "It got no bytes for too long." },
  },
});

@ObjectType("UploadSession", {
  implements: NodeType,
  description: "An upload under way. (`Upload` is the scalar of the multipart specification.)",
})
export class UploadSessionType
  extends NodeType
  implements Pick<Upload, "offset" | "createdAt" | "expiresAt">
{
  @Field(() => String, {
    nullable: true,
    description:
      "Where to send the bytes with any tus 1.0 client. A secret: it is the right to append. Only in the payload of `createUpload`.",
  })
  tusUrl!: string | null;

  @Field(() => UploadStage) stage!: `${UploadStage}`;

  @Field(() => ByteSize, {
    nullable: true,
    description: "Total size; null while the client has not told it (deferred length).",
  })
  size!: number | null;

  @Field(() => ByteSize, {
    description: "Plain bytes that are durable; where the upload ended without a file, that were.",
  })
  offset!: number;

  @Field(() => Int, { description: "Data chunks that are stored." }) storedChunkCount!: number;
  @Field(() => DateTime) createdAt!: Date;

  @Field(() => DateTime, { description: "An upload that gets no bytes until then is dropped." })
  expiresAt!: Date;

  @Field(() => UserErrorType, { nullable: true, description: "Set once the stage is FAILED." })
  failure!: UserErrorType | null;

  /** Where the field `file` begins. */
  source!: Upload;
}

export const UploadSessionConnection = connectionType("UploadSession", () => UploadSessionType);

/** `tusUrl` only for the caller who has just made it. */
export function uploadSessionView(source: Upload, tusUrl: string | null = null): UploadSessionType {
  const { id, length, offset, createdAt, expiresAt } = source;
  const stage = source.stage === "receiving" && source.isExpired ? "expired" : source.stage;
  return {
    id: globalId("UploadSession", id),
    tusUrl,
    stage,
    size: length,
    offset,
    storedChunkCount: storedChunkCount(source),
    createdAt,
    expiresAt,
    failure: stage === "failed" ? userErrorOf(FAILURE) : null,
    source,
  };
}

/** The only thing that fails an upload for good; core keeps no reason beside the stage. */
const FAILURE = new VaultError("CHECKSUM_MISMATCH", "another SHA-256 than expected");

/**
 * Follows from the offset, which a commit moves together with the rows of the chunks before it: counting those rows
 * would cost a scan of them. What an ended upload had is given to the sweep.
 */
function storedChunkCount({ stage, layout, offset, tail }: Upload): number {
  if (stage !== "receiving" && stage !== "finished") return 0;
  const chunks = Math.ceil((offset - (tail?.plainBytes ?? 0)) / plainBytesPerChunk(layout));
  return stage === "finished" ? Math.max(1, chunks) : chunks; // an empty file has one, too
}
