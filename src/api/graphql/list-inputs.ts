/** What the lists take: which page, in which order, and of what. */
import { ArgsType, Field, ID, InputType, Int, registerEnumType } from "type-graphql";
import type { FileOrder as CoreFileOrder } from "../../core/catalogue.js";
import { ChunkKind, ChunkState } from "./chunk-type.js";
import { FileStatus } from "./file-type.js";
import { ByteSize, DateTime } from "./scalars.js";
import { UploadStage } from "./upload-session-type.js";

export const FILES_PER_PAGE = 20;
export const CHUNKS_PER_PAGE = 50;
export const UPLOADS_PER_PAGE = 20;
export const LINKS_PER_PAGE = 20;

export enum FileOrderField {
  CREATED_AT = "createdAt",
  EXPIRES_AT = "expiresAt",
  SIZE = "size",
  DOWNLOAD_COUNT = "downloadCount",
}

export enum OrderDirection {
  ASC = "asc",
  DESC = "desc",
}

registerEnumType(FileOrderField, {
  name: "FileOrderField",
  valuesConfig: {
    EXPIRES_AT: { description: "A file that never expires comes after all that do, when ascending." },
  },
});
registerEnumType(OrderDirection, { name: "OrderDirection" });

@InputType("FileFilter", { description: "All that are given must hold." })
export class FileFilter {
  @Field(() => String, { nullable: true, description: "Hash prefix, at least 4 digits." })
  hashStartsWith?: string | null;

  @Field(() => [FileStatus], { nullable: true, description: "Any of these." }) status?: FileStatus[] | null;
  @Field(() => DateTime, { nullable: true, description: "Exclusive." }) createdAfter?: Date | null;
  @Field(() => DateTime, { nullable: true, description: "Exclusive." }) createdBefore?: Date | null;
  @Field(() => ByteSize, { nullable: true, description: "Inclusive." }) sizeAtLeast?: number | null;
  @Field(() => ByteSize, { nullable: true, description: "Inclusive." }) sizeAtMost?: number | null;

  @Field(() => ID, { nullable: true, description: "Only files with at least one chunk in this bucket." })
  bucketId?: string | null;
}

@InputType("FileOrder", { description: "Files that are equal in `field` are in the order of their ids." })
export class FileOrder implements CoreFileOrder {
  @Field(() => FileOrderField, { defaultValue: FileOrderField.CREATED_AT }) field!: `${FileOrderField}`;
  @Field(() => OrderDirection, { defaultValue: OrderDirection.DESC }) direction!: `${OrderDirection}`;
}

@InputType("ChunkFilter", { description: "All that are given must hold." })
export class ChunkFilter {
  @Field(() => ID, { nullable: true }) bucketId?: string | null;
  @Field(() => [ChunkState], { nullable: true, description: "Any of these." }) state?: ChunkState[] | null;
  @Field(() => ChunkKind, { nullable: true }) kind?: ChunkKind | null;
}

@ArgsType()
export class FilesArgs {
  @Field(() => Int, { nullable: true, defaultValue: FILES_PER_PAGE }) first?: number | null;
  @Field(() => String, { nullable: true }) after?: string | null;
  @Field(() => Int, { nullable: true, description: "The end of the list, or what is before `before`." })
  last?: number | null;
  @Field(() => String, { nullable: true }) before?: string | null;
  @Field(() => FileFilter, { nullable: true }) filter?: FileFilter | null;
  @Field(() => FileOrder, { nullable: true, description: "Default: newest first." })
  orderBy?: FileOrder | null;
}

@ArgsType()
export class ChunksArgs {
  @Field(() => Int, { nullable: true, defaultValue: CHUNKS_PER_PAGE }) first?: number | null;
  @Field(() => String, { nullable: true }) after?: string | null;
  @Field(() => ChunkFilter, { nullable: true }) filter?: ChunkFilter | null;
}

@ArgsType()
export class DownloadLinksArgs {
  @Field(() => Int, { nullable: true, defaultValue: LINKS_PER_PAGE }) first?: number | null;
  @Field(() => String, { nullable: true }) after?: string | null;
}

@ArgsType()
export class UploadSessionsArgs {
  @Field(() => Int, { nullable: true, defaultValue: UPLOADS_PER_PAGE }) first?: number | null;
  @Field(() => String, { nullable: true }) after?: string | null;
  @Field(() => [UploadStage], { nullable: true }) stage?: UploadStage[] | null;
}
