/** The chunk map of a file, for administrators: row by row, and in sum. */
import type { GraphQLResolveInfo } from "graphql";
import { Args, Authorized, Ctx, FieldResolver, Info, Resolver, Root } from "type-graphql";
import { BucketShareType, SHARES, shareView } from "./bucket-share-type.js";
import { BucketType, bucketView } from "./bucket-type.js";
import { ChunkConnection, ChunkType, chunkView } from "./chunk-type.js";
import type { Context } from "./context.js";
import { FileType } from "./file-type.js";
import { requireBucketId } from "./ids.js";
import { CHUNKS_PER_PAGE, ChunksArgs } from "./list-inputs.js";
import type { Connection } from "./pages.js";
import { connectionOf, given, pageOf } from "./pages.js";
import { isSelected } from "./selection.js";

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

  @Authorized("admin")
  @FieldResolver(() => [BucketShareType], {
    nullable: true,
    description: "The chunk map in sum: how much of the file lies in which bucket. Admin.",
    complexity: SHARES,
  })
  async placement(
    @Root() { source, chunkCount }: FileType,
    @Ctx() { loaders }: Context,
    @Info() info: GraphQLResolveInfo,
  ): Promise<BucketShareType[]> {
    const { id, parity } = source;
    const shares = await loaders.shares({ id, parity, chunkCount }, { ranges: isSelected(info, "ranges") });
    return shares.map(shareView);
  }
}

@Resolver(() => BucketShareType)
export class BucketShareResolver {
  @FieldResolver(() => BucketType)
  async bucket(@Root() { bucketId }: BucketShareType, @Ctx() { loaders }: Context): Promise<BucketType> {
    return bucketView(await loaders.bucket(bucketId));
  }
}

@Resolver(() => ChunkType)
export class ChunkResolver {
  @FieldResolver(() => BucketType)
  async bucket(@Root() { bucketId }: ChunkType, @Ctx() { loaders }: Context): Promise<BucketType> {
    return bucketView(await loaders.bucket(bucketId));
  }
}
