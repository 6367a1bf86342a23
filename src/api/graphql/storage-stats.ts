/** How much there is in the whole store, for administrators. */
import { Ctx, Field, FieldResolver, Int, ObjectType, Query, Resolver, Root } from "type-graphql";
import type { BucketUsage } from "../../core/catalogue.js";
import { requireAdmin } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { BucketType, bucketView } from "./bucket-type.js";
import type { Context } from "./context.js";
import { ByteSize } from "./scalars.js";

@ObjectType("BucketUsage")
export class BucketUsageType {
  @Field(() => BucketType) bucket!: BucketType;
  @Field(() => Int) chunkCount!: number;
  @Field(() => ByteSize) storedSize!: number;
}

@ObjectType("StorageStats", { description: "Totals of the whole store. Admin." })
export class StorageStatsType {
  @Field(() => Int, { description: "Files that are not gone." }) fileCount!: number;

  @Field(() => Int, {
    description: "What the buckets hold of files and of uploads under way, parity included.",
  })
  chunkCount!: number;

  @Field(() => ByteSize, { description: "Sum of the plain sizes." }) plainSize!: number;
  @Field(() => ByteSize, { description: "Sum of what the buckets hold." }) storedSize!: number;
  @Field(() => Int) degradedFileCount!: number;
  @Field(() => Int) unavailableFileCount!: number;
  @Field(() => Int) uploadsUnderWay!: number;

  /** Where the field `byBucket` begins. */
  usage!: readonly BucketUsage[];
}

@Resolver(() => StorageStatsType)
export class StorageStatsResolver {
  constructor(private readonly deps: Pick<ApiDeps, "catalogue">) {}

  @Query(() => StorageStatsType, { description: "Admin." })
  async storageStats(@Ctx() { caller, loaders }: Context): Promise<StorageStatsType> {
    requireAdmin(caller);
    const [{ plainBytes, ...totals }, usage] = await Promise.all([
      this.deps.catalogue.totals(),
      loaders.usage(),
    ]);
    return {
      ...totals,
      plainSize: plainBytes,
      chunkCount: usage.reduce((sum, { chunkCount }) => sum + chunkCount, 0),
      storedSize: usage.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
      usage,
    };
  }

  @FieldResolver(() => [BucketUsageType], { description: "Every bucket, also one that holds nothing." })
  async byBucket(
    @Root() { usage }: StorageStatsType,
    @Ctx() { loaders }: Context,
  ): Promise<BucketUsageType[]> {
    const of = new Map(usage.map(one => [one.bucketId, one]));
    return [...(await loaders.buckets()).values()].map(bucket => ({
      bucket: bucketView(bucket),
      chunkCount: of.get(bucket.id)?.chunkCount ?? 0,
      storedSize: of.get(bucket.id)?.storedBytes ?? 0,
    }));
  }
}
