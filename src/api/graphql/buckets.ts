/** The buckets, for administrators. */
import { Ctx, Query, Resolver } from "type-graphql";
import { requireAdmin } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { BucketType, bucketView } from "./bucket-type.js";
import type { Context } from "./context.js";

@Resolver(() => BucketType)
export class BucketResolver {
  constructor(private readonly deps: Pick<ApiDeps, "bucketDirectory">) {}

  @Query(() => [BucketType], { description: "Admin." })
  async buckets(@Ctx() { caller }: Context): Promise<BucketType[]> {
    requireAdmin(caller);
    return (await this.deps.bucketDirectory.list()).map(bucketView);
  }
}
