/** How much of one file lies in one bucket, as the schema shows it. */
import { Field, Int, ObjectType } from "type-graphql";
import type { BucketShare, ChunkRange } from "../../core/catalogue.js";
import type { BucketId } from "../../core/model.js";
import { ByteSize } from "./scalars.js";

/** What the cost of a query counts for the buckets of a file, and for the ranges of a bucket: more than most have. */
export const SHARES = 8;
const RANGES = 256;

@ObjectType("ChunkRange")
export class ChunkRangeType implements ChunkRange {
  @Field(() => Int) first!: number;
  @Field(() => Int) last!: number;

  @Field(() => Int, {
    description:
      "How many of the data chunks from `first` to `last` lie in the bucket: all of them, unless ranges were merged.",
  })
  chunkCount!: number;
}

@ObjectType("BucketShare", { description: "How much of one file lies in one bucket. Admin." })
export class BucketShareType implements Pick<BucketShare, "chunkCount" | "ranges"> {
  @Field(() => Int, { description: "Data and parity chunks." }) chunkCount!: number;
  @Field(() => ByteSize, { description: "Stored bytes of data and parity chunks." }) storedSize!: number;

  @Field(() => [ChunkRangeType], {
    complexity: RANGES,
    description: `
Numbers of data chunks, as closed ranges: enough to draw the map without reading every chunk. Parity chunks have no number
and are in no range. Where a file has more stripes than ranges are told of a bucket (2048 over all buckets), the map is cut
into that many bins of equal length, and what the bucket holds of a bin is one range: see \`chunkCount\` for how dense it is.`.trim(),
  })
  ranges!: readonly ChunkRange[];

  /** Where the field \`bucket` begins. */
  bucketId!: BucketId;
}

export function shareView({ bucketId, chunkCount, storedBytes, ranges }: BucketShare): BucketShareType {
  return { bucketId, chunkCount, storedSize: storedBytes, ranges };
}
