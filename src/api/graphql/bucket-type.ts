/** A bucket as the schema shows it. */
import { Field, Int, ObjectType, registerEnumType } from "type-graphql";
import type { BucketRecord } from "../../core/model.js";
import { globalId } from "./ids.js";
import { NodeType } from "./node.js";

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
