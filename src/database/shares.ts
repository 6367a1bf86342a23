/**
 * How a file lies in its buckets, in one pass over its part of the index `chunks_by_bucket`. What comes out of the
 * database is bounded, however many chunks there are: they are counted by bins of whole stripes.
 */
import type { EntityManager } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { BucketShare, ChunkRange, MappedFile } from "../core/catalogue.js";
import { integer } from "./rows.js";

interface BinRow {
  readonly place: string;
  readonly bucket_id: number;
  readonly chunk_count: string;
  readonly stored_bytes: string;
  /** Data chunks, and the numbers of the first and the last; null where there are only parity chunks. */
  readonly data_count: string;
  readonly first: number | null;
  readonly last: number | null;
}

/** In the order of the files. `maxRanges` is of one bucket. */
export async function readShares(
  em: EntityManager,
  files: readonly MappedFile[],
  maxRanges: number,
): Promise<readonly (readonly BucketShare[])[]> {
  const { rows } = await sql<BinRow>`
    select f.place, b.* from unnest(
      ${files.map(file => file.id)}::uuid[], ${files.map(file => file.parity.dataChunks)}::int[]
    ) with ordinality as f (id, data_chunks, place)
    cross join lateral (
      select coalesce(max(stripe), 0) / ${maxRanges}::int + 1 as stripes from chunks where file_id = f.id
    ) as bin
    cross join lateral (
      select bucket_id, stripe / bin.stripes as bin, count(*) as chunk_count, sum(stored_bytes) as stored_bytes,
        count(*) filter (where shard < f.data_chunks) as data_count,
        min(stripe * f.data_chunks + shard) filter (where shard < f.data_chunks) as first,
        max(stripe * f.data_chunks + shard) filter (where shard < f.data_chunks) as last
      from chunks where file_id = f.id
      group by bucket_id, stripe / bin.stripes
    ) as b
    order by f.place, b.bucket_id, b.bin`.execute(em.getKysely());
  const found = Map.groupBy(rows, row => Number(row.place));
  return files.map((_, i) => [...Map.groupBy(found.get(i + 1) ?? [], row => row.bucket_id)].map(toShare));
}

function toShare([bucketId, bins]: readonly [number, readonly BinRow[]]): BucketShare {
  const sum = (values: readonly string[]) => values.reduce((total, value) => total + integer(value), 0);
  return {
    bucketId,
    chunkCount: sum(bins.map(bin => bin.chunk_count)),
    storedBytes: sum(bins.map(bin => bin.stored_bytes)),
    ranges: joined(bins),
  };
}

/** Ranges that follow each other without a gap, and have none within, are one. */
function joined(bins: readonly BinRow[]): ChunkRange[] {
  const ranges: ChunkRange[] = [];
  for (const { first, last, data_count } of bins) {
    if (first === null || last === null) continue;
    const range = { first, last, chunkCount: integer(data_count) };
    const before = ranges.at(-1);
    if (before && before.last + 1 === first && isWhole(before) && isWhole(range)) {
      ranges[ranges.length - 1] = {
        first: before.first,
        last,
        chunkCount: before.chunkCount + range.chunkCount,
      };
    } else {
      ranges.push(range);
    }
  }
  return ranges;
}

function isWhole({ first, last, chunkCount }: ChunkRange): boolean {
  return chunkCount === last - first + 1;
}
