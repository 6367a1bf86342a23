/** What mutations take. Bounds are core's: here is only what each input is called. */
import type { FileUpload } from "graphql-upload-minimal";
import { Field, ID, InputType, Int } from "type-graphql";
import { BucketState } from "./bucket-type.js";
import { Disposition } from "./link-type.js";
import { ByteSize, DateTime, Duration, Sha256, Upload } from "./scalars.js";

@InputType("CreateUploadInput")
export class CreateUploadInput {
  @Field(() => String) filename!: string;

  @Field(() => ByteSize, {
    nullable: true,
    description: "Give it where known; leave it out for a stream of unknown length.",
  })
  size?: number | null;

  @Field(() => String, { nullable: true }) mediaType?: string | null;
  @Field(() => String, { description: "Used to encrypt; never stored." }) password!: string;

  @Field(() => ByteSize, {
    nullable: true,
    description: "Stored bytes of one chunk. Default: `serverInfo.defaultChunkSize`.",
  })
  chunkSize?: number | null;

  @Field(() => Sha256, {
    nullable: true,
    description: "Refuse the upload if the plain bytes do not have this digest.",
  })
  expectedSha256?: string | null;

  @Field(() => Duration, {
    nullable: true,
    description: "From the end of the upload. Default: the file is kept until someone deletes it.",
  })
  expiresIn?: number | null;

  @Field(() => Int, { nullable: true, description: "Default: no limit." }) maxDownloads?: number | null;
}

@InputType("AbandonUploadInput")
export class AbandonUploadInput {
  @Field(() => String, { description: "The tus URL or its token." }) token!: string;
}

@InputType("UploadFileInput")
export class UploadFileInput {
  @Field(() => Upload) file!: Promise<FileUpload>;
  @Field(() => String) password!: string;
  @Field(() => ByteSize, { nullable: true }) chunkSize?: number | null;
  @Field(() => Sha256, { nullable: true }) expectedSha256?: string | null;
  @Field(() => Duration, { nullable: true }) expiresIn?: number | null;
  @Field(() => Int, { nullable: true }) maxDownloads?: number | null;
}

@InputType("UnlockFileInput")
export class UnlockFileInput {
  @Field(() => Sha256) hash!: string;
  @Field(() => String) password!: string;
}

@InputType("CreateDownloadLinkInput")
export class CreateDownloadLinkInput {
  @Field(() => Sha256) hash!: string;
  @Field(() => String) password!: string;
  @Field(() => Duration, { nullable: true }) expiresIn?: number | null;

  @Field(() => Int, { nullable: true, description: "Default: no limit within the link's life." })
  maxDownloads?: number | null;

  @Field(() => Disposition, { nullable: true, defaultValue: Disposition.ATTACHMENT })
  disposition?: `${Disposition}` | null;
}

@InputType("RevokeDownloadLinkInput")
export class RevokeDownloadLinkInput {
  @Field(() => ID) id!: string;
  @Field(() => String, { nullable: true, description: "Not needed by an admin." }) password?: string | null;
}

@InputType("UpdateFileInput", { description: "What is left out stays as it is." })
export class UpdateFileInput {
  @Field(() => Sha256) hash!: string;
  @Field(() => String, { nullable: true, description: "Not needed by an admin." }) password?: string | null;

  @Field(() => DateTime, { nullable: true, description: "Null: kept until someone deletes it." })
  expiresAt?: Date | null;

  @Field(() => Int, {
    nullable: true,
    description:
      "Over the whole life of the file: downloads that were had count. No fewer than those; as many end the file. Null: no limit.",
  })
  maxDownloads?: number | null;

  @Field(() => DateTime, {
    nullable: true,
    description: "Cannot be deleted, and does not expire, before this time; can only be moved later. Admin.",
  })
  retainUntil?: Date | null;
}

@InputType("ChangeFilePasswordInput")
export class ChangeFilePasswordInput {
  @Field(() => Sha256) hash!: string;
  @Field(() => String) currentPassword!: string;
  @Field(() => String) newPassword!: string;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: true,
    description: "Also revoke every link made with the old password.",
  })
  revokeLinks?: boolean | null;
}

@InputType("UpdateBucketInput")
export class UpdateBucketInput {
  @Field(() => ID) id!: string;
  @Field(() => BucketState, { nullable: true }) state?: `${BucketState}` | null;
  @Field(() => Int, { nullable: true }) weight?: number | null;
}

@InputType("DeleteFileInput")
export class DeleteFileInput {
  @Field(() => Sha256) hash!: string;
  @Field(() => String, { nullable: true, description: "Not needed by an admin." }) password?: string | null;
}

@InputType("VerifyFileInput")
export class VerifyFileInput {
  @Field(() => Sha256) hash!: string;
}
