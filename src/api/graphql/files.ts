/** Files that are there: reading, unlocking, links, deleting. */
import { Arg, Ctx, Mutation, Query, Resolver } from "type-graphql";
import type { ApiDeps } from "../deps.js";
import type { Context } from "./context.js";
import { orUserErrors } from "./errors.js";
import { FileType, fileView } from "./file-type.js";
import { CreateDownloadLinkInput, DeleteFileInput, UnlockFileInput } from "./inputs.js";
import { linkView } from "./link-type.js";
import { CreateDownloadLinkPayload, DeleteFilePayload, UnlockFilePayload } from "./payloads.js";
import { Sha256 } from "./scalars.js";

@Resolver(() => FileType)
export class FileResolver {
  constructor(private readonly deps: Pick<ApiDeps, "files" | "links" | "publicUrl">) {}

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

  @Mutation(() => CreateDownloadLinkPayload, { description: "Make a short-lived download link. Password." })
  createDownloadLink(
    @Arg("input", () => CreateDownloadLinkInput) input: CreateDownloadLinkInput,
    @Ctx() { caller }: Context,
  ): Promise<CreateDownloadLinkPayload> {
    return orUserErrors(async () => {
      const { hash, password } = input;
      const terms = { expiresInSeconds: input.expiresIn ?? null, maxUses: input.maxDownloads ?? null };
      const { grant, token, file, meta } = await this.deps.links.create({ hash, password, ...terms }, caller);
      return {
        link: linkView(grant),
        url: `${this.deps.publicUrl()}/d/${token}`,
        file: fileView(file, meta),
      };
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
}
