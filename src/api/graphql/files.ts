/** Files that are there: reading, unlocking, changing, deleting. */
import { Arg, Ctx, Mutation, Query, Resolver } from "type-graphql";
import { requireAdmin } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import type { Context } from "./context.js";
import { orUserErrors } from "./errors.js";
import { FileType, fileView } from "./file-type.js";
import {
  ChangeFilePasswordInput,
  DeleteFileInput,
  UnlockFileInput,
  UpdateFileInput,
  VerifyFileInput,
} from "./inputs.js";
import {
  ChangeFilePasswordPayload,
  DeleteFilePayload,
  UnlockFilePayload,
  UpdateFilePayload,
  VerifyFilePayload,
} from "./payloads.js";
import { Sha256 } from "./scalars.js";

@Resolver(() => FileType)
export class FileResolver {
  constructor(private readonly deps: Pick<ApiDeps, "files" | "verifier">) {}

  @Query(() => FileType, {
    nullable: true,
    description: "A file by its hash; null if there is none. Public, few fields: see `File`.",
  })
  async file(@Arg("hash", () => Sha256) hash: string): Promise<FileType | null> {
    const file = await this.deps.files.find(hash);
    return file && fileView(file, null);
  }

  @Mutation(() => UnlockFilePayload, {
    description: "Check the password and read the name and media type. Password.",
  })
  unlockFile(
    @Arg("input", () => UnlockFileInput) { hash, password }: UnlockFileInput,
    @Ctx() { caller }: Context,
  ): Promise<UnlockFilePayload> {
    return orUserErrors(async () => {
      const { file, meta } = await this.deps.files.unlock(hash, password, caller);
      return { file: fileView(file, meta) };
    });
  }

  @Mutation(() => UpdateFilePayload, { description: "Change expiry or download limit. Password, or admin." })
  updateFile(
    @Arg("input", () => UpdateFileInput) { hash, password, ...change }: UpdateFileInput,
    @Ctx() { caller }: Context,
  ): Promise<UpdateFilePayload> {
    return orUserErrors(async () => {
      const given = { ...change, password: password ?? null };
      const { file, meta } = await this.deps.files.changeTerms(hash, given, caller);
      return { file: fileView(file, meta) };
    });
  }

  @Mutation(() => ChangeFilePasswordPayload, {
    description: "Change the password: wraps the file's key anew, moves no bytes. Password.",
  })
  changeFilePassword(
    @Arg("input", () => ChangeFilePasswordInput) { hash, revokeLinks, ...given }: ChangeFilePasswordInput,
    @Ctx() { caller }: Context,
  ): Promise<ChangeFilePasswordPayload> {
    return orUserErrors(async () => {
      const change = { ...given, revokeLinks: revokeLinks ?? true };
      const { file, meta } = await this.deps.files.changePassword(hash, change, caller);
      return { file: fileView(file, meta) };
    });
  }

  @Mutation(() => DeleteFilePayload, {
    description: "Delete the file and all its chunks. Password, or admin.",
  })
  deleteFile(
    @Arg("input", () => DeleteFileInput) { hash, password }: DeleteFileInput,
    @Ctx() { caller }: Context,
  ): Promise<DeleteFilePayload> {
    return orUserErrors(async () => {
      await this.deps.files.delete(hash, password ?? null, caller);
      return { deletedHash: hash };
    });
  }

  @Mutation(() => VerifyFilePayload, {
    description:
      "Read every chunk back, compare it with its digest, and the digests with the hash; what is bad is rebuilt. Needs no password. Admin.",
  })
  async verifyFile(
    @Arg("input", () => VerifyFileInput) { hash }: VerifyFileInput,
    @Ctx() { caller, signal }: Context,
  ): Promise<object> {
    requireAdmin(caller);
    const nothing = { checkedChunks: 0, badChunks: 0, repairedChunks: 0 };
    const answer = await orUserErrors(async () => {
      const { file, scrubbed } = await this.deps.verifier.verify(hash, caller, { signal });
      const { checked, bad, repaired } = scrubbed;
      return { file: fileView(file, null), checkedChunks: checked, badChunks: bad, repairedChunks: repaired };
    });
    return { ...nothing, ...answer };
  }
}
