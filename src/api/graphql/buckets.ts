/** The buckets, for administrators: how they are, and what is to be done with them. */
import { Arg, Ctx, FieldResolver, Int, Mutation, Query, Resolver, Root } from "type-graphql";
import type { BucketUsage } from "../../core/catalogue.js";
import { VaultError } from "../../core/errors.js";
import type { HealthReport } from "../../core/ports.js";
import { requireAdmin } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { BucketHealthType, BucketType, bucketGlobalId, bucketView } from "./bucket-type.js";
import type { Context } from "./context.js";
import { orUserErrors } from "./errors.js";
import { UpdateBucketInput } from "./inputs.js";
import { UpdateBucketPayload } from "./payloads.js";
import { ByteSize } from "./scalars.js";

/** Of a bucket that has a row but is not among this replica's `BUCKETS`. */
const UNKNOWN: HealthReport = {
  isReachable: false,
  ageMs: 0,
  latencyMsP50: null,
  latencyMsP95: null,
  errorRate: null,
  lastError: "not configured here",
};

@Resolver(() => BucketType)
export class BucketResolver {
  constructor(private readonly deps: Pick<ApiDeps, "steering" | "bucketHealth" | "bucketSizes" | "clock">) {}

  @Query(() => [BucketType], { description: "Admin." })
  async buckets(@Ctx() { caller }: Context): Promise<BucketType[]> {
    requireAdmin(caller);
    return (await this.deps.steering.list()).map(bucketView);
  }

  @Mutation(() => UpdateBucketPayload, {
    description: "Switch a bucket to read only, drain it, change its weight. Admin.",
  })
  async updateBucket(
    @Ctx() { caller }: Context,
    @Arg("input", () => UpdateBucketInput) { id, state, weight }: UpdateBucketInput,
  ): Promise<object> {
    requireAdmin(caller);
    return orUserErrors(async () => {
      const known = (await this.deps.steering.list()).find(bucket => bucketGlobalId(bucket) === id);
      if (!known) throw new VaultError("NOT_FOUND", "no such bucket", { field: "id" });
      const changed = await this.deps.steering.change(
        known.id,
        {
          ...(state && { state }),
          ...(weight != null && { weight }),
        },
        caller,
      );
      return { bucket: bucketView(changed) };
    });
  }

  @FieldResolver(() => ByteSize, { description: "Stored bytes of all chunks that lie here." })
  async usedSize(@Root() bucket: BucketType, @Ctx() context: Context): Promise<number> {
    return (await this.#usageOf(bucket, context))?.storedBytes ?? 0;
  }

  @FieldResolver(() => Int, { description: "Chunks of files and of uploads under way, parity included." })
  async chunkCount(@Root() bucket: BucketType, @Ctx() context: Context): Promise<number> {
    return (await this.#usageOf(bucket, context))?.chunkCount ?? 0;
  }

  @FieldResolver(() => ByteSize, {
    nullable: true,
    description:
      "What it can hold altogether; null where nobody knows. For a folder, its file system, which others may share.",
  })
  async capacity(@Root() { name }: BucketType): Promise<number | null> {
    return (await this.deps.bucketSizes.get(name)?.capacityBytes()) ?? null;
  }

  @FieldResolver(() => BucketHealthType)
  async health(@Root() { name }: BucketType): Promise<BucketHealthType> {
    const report = this.deps.bucketHealth.of(name) ?? UNKNOWN;
    const { isReachable: reachable, ageMs, latencyMsP50, latencyMsP95, errorRate, lastError } = report;
    const checkedAt = new Date((await this.deps.clock.now()).getTime() - ageMs);
    return { reachable, checkedAt, latencyMsP50, latencyMsP95, errorRate, lastError };
  }

  async #usageOf({ source }: BucketType, context: Context): Promise<BucketUsage | undefined> {
    return (await context.loaders.usage()).find(({ bucketId }) => bucketId === source.id);
  }
}
