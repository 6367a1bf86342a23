/** Parity: where there are fewer buckets than a stripe has chunks, a bucket takes more than one of them. */
import { Migration } from "@mikro-orm/migrations";

export class Parity extends Migration {
  override up(): void {
    for (const statement of CHUNKS_BY_BUCKET) this.addSql(statement);
  }
}

/**
 * No longer unique: that chunks of a stripe lie apart is core's to see to (placement.ts), which lets them share a bucket
 * when the alternative is to refuse the file.
 */
const CHUNKS_BY_BUCKET = [
  `drop index chunks_by_bucket`,
  `create index chunks_by_bucket on chunks (file_id, bucket_id, stripe) include (shard, stored_bytes)`,
];
