/** A bucket as the schema shows it. */
import { Field, Float, Int, ObjectType, registerEnumType } from "type-graphql";
import type { BucketRecord } from "../../core/model.js";
import { globalId } from "./ids.js";
import { NodeType } from "./node.js";
import { DateTime } from "./scalars.js";

export enum BucketProvider {
  GCS = "gcs",
  S3 = "s3",
  AZURE = "azure",
  DISK = "disk",
  MEMORY = "memory",
}

export enum BucketState {
  ACTIVE = "active",
  READ_ONLY = "read_only",
  DRAINING = "draining",
  DISABLED = "disabled",
}

registerEnumType(BucketProvider, { name: "BucketProvider" });
registerEnumType(BucketState, {
  name: "BucketState",
  valuesConfig: {
    ACTIVE: { description: "Takes new chunks." },
    READ_ONLY: { description: "Read only." },
    DRAINING: { description: "Its chunks are being moved away." },
  },
});

@ObjectType("BucketHealth", {
  description:
    "How a bucket does, as the answering replica saw it: every attempt counts, and one a minute is made where nobody\n" +
    "asks. Other replicas may see another network.",
})
export class BucketHealthType {
  @Field(() => Boolean, { description: "Whether it answered when it was last asked." }) reachable!: boolean;
  @Field(() => DateTime, { description: "When that was." }) checkedAt!: Date;

  @Field(() => Float, {
    nullable: true,
    description: "Median and 95th percentile of the last 15 minutes, in milliseconds.",
  })
  latencyMsP50!: number | null;

  @Field(() => Float, { nullable: true }) latencyMsP95!: number | null;

  @Field(() => Float, { nullable: true, description: "Failed attempts among all of the last 15 minutes." })
  errorRate!: number | null;

  @Field(() => String, {
    nullable: true,
    description: "What failed last in the last 15 minutes, and how, in a word each.",
  })
  lastError!: string | null;
}

@ObjectType("Bucket", { implements: NodeType, description: "A place that holds chunks. Admin." })
export class BucketType extends NodeType implements Pick<BucketRecord, "name" | "region" | "weight"> {
  @Field(() => String) name!: string;
  @Field(() => BucketProvider) provider!: `${BucketProvider}`;
  @Field(() => String, { nullable: true }) region!: string | null;
  @Field(() => BucketState) state!: `${BucketState}`;
  @Field(() => Int, { description: "Relative share of new chunks." }) weight!: number;

  /** Where the fields that are looked up begin. */
  source!: BucketRecord;
}

export function bucketView(source: BucketRecord): BucketType {
  const { name, provider, region, state, weight } = source;
  return { id: bucketGlobalId(source), name, provider, region, state, weight, source };
}

export function bucketGlobalId({ id }: Pick<BucketRecord, "id">): string {
  return globalId("Bucket", id);
}
