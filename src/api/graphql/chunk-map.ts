/** The chunk map of a file, for administrators: row by row, and in sum. */
import { Args, Authorized, Ctx, FieldResolver, Resolver, Root } from "type-graphql";
import { BucketType, bucketView } from "./bucket-type.js";
import { ChunkConnection, ChunkType, chunkView } from "./chunk-type.js";
import type { Context } from "./context.js";
import { FileType } from "./file-type.js";
import { requireBucketId } from "./ids.js";
import { CHUNKS_PER_PAGE, ChunksArgs } from "./list-inputs.js";
import type { Connection } from "./pages.js";
import { connectionOf, given, pageOf } from "./pages.js";

@Resolver(() => FileType)
export class ChunkMapResolver {
  @Authorized("admin")
  @FieldResolver(() => ChunkConnection, {
    nullable: true,
    description: "The chunk map, in file order. Admin. `first` at most 100.",
  })
  async chunks(
    @Root() { source }: FileType,
    @Ctx() { loaders }: Context,
    @Args(() => ChunksArgs) { filter, ...page }: ChunksArgs,
  ): Promise<Connection<ChunkType>> {
    const bucketId = filter?.bucketId == null ? null : requireBucketId(filter.bucketId);
    const wanted = given({ ...filter, bucketId });
    return connectionOf(
      await loaders.chunks(source, pageOf(page, CHUNKS_PER_PAGE), wanted),
      chunkView(source),
    );
  }
}

@Resolver(() => ChunkType)
export class ChunkResolver {
  @FieldResolver(() => BucketType)
  async bucket(@Root() { bucketId }: ChunkType, @Ctx() { loaders }: Context): Promise<BucketType> {
    return bucketView(await loaders.bucket(bucketId));
  }
}
