/** The list of all files, for administrators. */
import { Args, Ctx, Query, Resolver } from "type-graphql";
import type { FileListFilter, FileOrder } from "../../core/catalogue.js";
import { requireAdmin } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { badRequest } from "../errors.js";
import type { Context } from "./context.js";
import { FileConnection, FileType, fileView } from "./file-type.js";
import { requireBucketId } from "./ids.js";
import type { FileFilter } from "./list-inputs.js";
import { FILES_PER_PAGE, FilesArgs } from "./list-inputs.js";
import type { Connection } from "./pages.js";
import { connectionOf, given, pageOf } from "./pages.js";

const HASH_PREFIX = /^[0-9a-f]{4,64}$/;
const NEWEST_FIRST: FileOrder = { field: "createdAt", direction: "desc" };

@Resolver(() => FileType)
export class FileListResolver {
  constructor(private readonly deps: Pick<ApiDeps, "catalogue">) {}

  @Query(() => FileConnection, { description: "All files. Admin. `first` and `last` at most 100." })
  async files(
    @Ctx() { caller }: Context,
    @Args(() => FilesArgs) { filter, orderBy, ...page }: FilesArgs,
  ): Promise<Connection<FileType>> {
    requireAdmin(caller);
    const found = await this.deps.catalogue.files(
      pageOf(page, FILES_PER_PAGE),
      filter ? listFilter(filter) : {},
      orderBy ?? NEWEST_FIRST,
    );
    return connectionOf(found, file => fileView(file, null));
  }
}

function listFilter({ hashStartsWith, bucketId, ...others }: FileFilter): FileListFilter {
  if (hashStartsWith != null && !HASH_PREFIX.test(hashStartsWith)) {
    throw badRequest("A hash prefix has 4 to 64 digits, 0-9 and a-f.", "hash_starts_with");
  }
  return given({ ...others, hashStartsWith, bucketId: bucketId == null ? null : requireBucketId(bucketId) });
}
