/**
 * What administrators read: an index for each order of the list of files, the chunk map of one file by bucket, and
 * how much lies in each bucket, counted as it changes.
 */
import { Migration } from "@mikro-orm/migrations";

export class Reading extends Migration {
  override up(): void {
    for (const statement of [...LISTS, ...CHUNK_MAP, ...USAGE]) this.addSql(statement);
  }
}

/**
 * To the millisecond, as `created_at` is: a cursor holds a JavaScript date, and must not fall between two rows. A file
 * that never expires comes after all that do; PostgreSQL reads a row comparison as a range of such an index.
 */
const LISTS = [
  `alter table files alter column expires_at type timestamptz(3)`,
  `create index files_by_expiry on files (coalesce(expires_at, 'infinity'), id)`,
  `create index files_by_size on files (plain_bytes, id)`,
  `create index files_by_downloads on files (download_count, id)`,
  `create index files_not_well on files (created_at, id) where status in ('degraded', 'unavailable')`,
];

/**
 * The same rule as before (two chunks of a stripe never share a bucket) by an index whose order and columns answer how
 * a file lies in its buckets without a sort and without the table: an index more would cost every chunk its bytes.
 */
const CHUNK_MAP = [
  `alter table chunks drop constraint chunks_file_id_stripe_bucket_id_key`,
  `create unique index chunks_by_bucket on chunks (file_id, bucket_id, stripe) include (shard, stored_bytes)`,
  `create index chunks_not_stored on chunks (file_id, stripe, shard) where state <> 0`,
];

/**
 * Each statement that changes chunk rows leaves the difference in `bucket_changes`, and the sweep adds these up in
 * `bucket_totals`. Differences are inserted, not added to a row: uploads would wait for each other at every commit.
 */
const USAGE = [
  `create table bucket_totals (
    bucket_id     smallint primary key,
    chunk_count   bigint not null,
    stored_bytes  bigint not null
  )`,
  `create table bucket_changes (
    bucket_id     smallint not null,
    chunk_count   bigint not null,
    stored_bytes  bigint not null
  )`,
  `create function count_chunks() returns trigger language plpgsql as $$
  begin
    if tg_op = 'INSERT' then
      insert into bucket_changes select bucket_id, count(*), sum(stored_bytes) from came group by bucket_id;
    elsif tg_op = 'DELETE' then
      insert into bucket_changes select bucket_id, -count(*), -sum(stored_bytes) from went group by bucket_id;
    else
      insert into bucket_changes
      select bucket_id, sum(one), sum(one * stored_bytes) from (
        select bucket_id, 1 as one, stored_bytes::bigint from came
        union all select bucket_id, -1, stored_bytes from went
      ) as difference
      group by bucket_id having sum(one) <> 0 or sum(one * stored_bytes) <> 0;
    end if;
    return null;
  end $$`,
  `create trigger chunks_came after insert on chunks
    referencing new table as came for each statement execute function count_chunks()`,
  `create trigger chunks_went after delete on chunks
    referencing old table as went for each statement execute function count_chunks()`,
  `create trigger chunks_changed after update on chunks
    referencing old table as went new table as came for each statement execute function count_chunks()`,
  `insert into bucket_totals select bucket_id, count(*), sum(stored_bytes) from chunks group by bucket_id`,
];
