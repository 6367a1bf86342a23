/**
 * What a file's holder can do with it: links are listed, newest first, and may be shown in the browser; a file whose last
 * download was never delivered is found by the sweep.
 */
import { Migration } from "@mikro-orm/migrations";

export class Terms extends Migration {
  override up(): void {
    for (const statement of [LINKS, NEWEST_LINKS, EXHAUSTED]) this.addSql(statement);
  }
}

/** To the millisecond, as JavaScript's dates are: lists page by it. */
const LINKS = `
  alter table grants
    add column disposition text not null default 'attachment' check (disposition in ('attachment', 'inline')),
    alter column created_at type timestamptz(3) using date_trunc('milliseconds', created_at),
    alter column created_at set default date_trunc('milliseconds', now())`;

const NEWEST_LINKS = `create index grants_newest_links on grants (file_id, created_at, id) where kind = 'link'`;

const EXHAUSTED = `
  create index files_exhausted on files (created_at) where status <> 'gone' and download_count >= max_downloads`;
