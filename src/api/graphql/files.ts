/** Files that are there: reading, unlocking, links, deleting. */
import { Arg, Args, Authorized, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from "type-graphql";
import { requireAdmin } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { badRequest } from "../errors.js";
import type { ChunkType } from "./chunk-type.js";
import { ChunkConnection, chunkViews } from "./chunk-type.js";
import type { Context } from "./context.js";
import { orUserErrors } from "./errors.js";
import { FileConnection, FileType, fileView } from "./file-type.js";
import {
  CHUNKS_PER_PAGE,
  ChunksArgs,
  CreateDownloadLinkInput,
  DeleteFileInput,
  FILES_PER_PAGE,
  FilesArgs,
  UnlockFileInput,
} from "./inputs.js";
import { linkView } from "./link-type.js";
import type { Connection } from "./pages.js";
import { connectionOf, pageOf } from "./pages.js";
import { CreateDownloadLinkPayload, DeleteFilePayload, UnlockFilePayload } from "./payloads.js";
import { Sha256 } from "./scalars.js";

const HASH_PREFIX = /^[0-9a-f]{4,64}$/;

@Resolver(() => FileType)
export class FileResolver {
  constructor(
    private readonly deps: Pick<ApiDeps, "files" | "links" | "catalogue" | "bucketDirectory" | "publicUrl">,
  ) {}

  @Query(() => FileType, {
    nullable: true,
    description: "A file by its hash; null if there is none. Public, few fields: see `File`.",
  })
  async file(@Arg("hash", () => Sha256) hash: string): Promise<FileType | null> {
    const file = await this.deps.files.find(hash);
    return file && fileView(file, null);
  }

  @Query(() => FileConnection, { description: "All files. Admin. `first` at most 100." })
  async files(
    @Ctx() { caller }: Context,
    @Args(() => FilesArgs) { filter, ...page }: FilesArgs,
  ): Promise<Connection<FileType>> {
    requireAdmin(caller);
    const prefix = filter?.hashStartsWith;
    if (prefix && !HASH_PREFIX.test(prefix))
      throw badRequest("A hash prefix has 4 to 64 digits, 0-9 and a-f.");
    const status = filter?.status;
    const found = await this.deps.catalogue.files(pageOf(page, FILES_PER_PAGE), {
      ...(prefix && { hashStartsWith: prefix }),
      ...(status && { status }),
    });
    return connectionOf(found, file => fileView(file, null));
  }

  @Authorized("admin")
  @FieldResolver(() => ChunkConnection, {
    nullable: true,
    description: "The chunk map, in file order. Admin.",
  })
  async chunks(
    @Root() { source }: FileType,
    @Args(() => ChunksArgs) page: ChunksArgs,
  ): Promise<Connection<ChunkType>> {
    const [chunks, buckets] = await Promise.all([
      this.deps.catalogue.chunks(source.id, pageOf(page, CHUNKS_PER_PAGE)),
      this.deps.bucketDirectory.list(),
    ]);
    return connectionOf(chunks, chunkViews(source, buckets));
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
