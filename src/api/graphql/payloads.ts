/** What mutations answer: the result, or the mistakes that kept it from being made. */
import { Field, Int, ObjectType } from "type-graphql";
import { BucketType } from "./bucket-type.js";
import { UserErrorType } from "./errors.js";
import { FileType } from "./file-type.js";
import { DownloadLinkType } from "./link-type.js";
import { Sha256 } from "./scalars.js";
import { UploadSessionType } from "./upload-session-type.js";

@ObjectType("CreateUploadPayload")
export class CreateUploadPayload {
  @Field(() => UploadSessionType, { nullable: true }) upload?: UploadSessionType;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}

@ObjectType("AbandonUploadPayload")
export class AbandonUploadPayload {
  @Field(() => UploadSessionType, { nullable: true }) upload?: UploadSessionType;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}

@ObjectType("UploadFilePayload")
export class UploadFilePayload {
  @Field(() => FileType, { nullable: true }) file?: FileType;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}

@ObjectType("UnlockFilePayload")
export class UnlockFilePayload {
  @Field(() => FileType, { nullable: true }) file?: FileType;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}

@ObjectType("CreateDownloadLinkPayload")
export class CreateDownloadLinkPayload {
  @Field(() => DownloadLinkType, { nullable: true }) link?: DownloadLinkType;

  @Field(() => String, { nullable: true, description: "The link itself; only here, never again." })
  url?: string;

  @Field(() => FileType, { nullable: true }) file?: FileType;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}

@ObjectType("UpdateBucketPayload")
export class UpdateBucketPayload {
  @Field(() => BucketType, { nullable: true }) bucket?: BucketType;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}

@ObjectType("RevokeDownloadLinkPayload")
export class RevokeDownloadLinkPayload {
  @Field(() => DownloadLinkType, { nullable: true }) link?: DownloadLinkType;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}

@ObjectType("UpdateFilePayload")
export class UpdateFilePayload {
  @Field(() => FileType, { nullable: true }) file?: FileType;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}

@ObjectType("ChangeFilePasswordPayload")
export class ChangeFilePasswordPayload {
  @Field(() => FileType, { nullable: true }) file?: FileType;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}

@ObjectType("DeleteFilePayload")
export class DeleteFilePayload {
  @Field(() => Sha256, { nullable: true }) deletedHash?: string;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}

@ObjectType("VerifyFilePayload")
export class VerifyFilePayload {
  @Field(() => FileType, { nullable: true }) file?: FileType;
  @Field(() => Int, { description: "Parity chunks included." }) checkedChunks!: number;

  @Field(() => Int, { description: "Missing, corrupt, or in a bucket that does not answer." })
  badChunks!: number;

  @Field(() => Int) repairedChunks!: number;
  @Field(() => [UserErrorType]) userErrors!: UserErrorType[];
}
