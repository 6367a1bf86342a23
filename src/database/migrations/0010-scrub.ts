/** Scrub and repair: which file is to be read next, and which chunks are known to be bad. */
import { Migration } from "@mikro-orm/migrations";

export class Scrub extends Migration {
  override up(): void {
    for (const statement of STATEMENTS) this.addSql(statement);
  }
}

/** `scrub_stripe` is where the scrub that is under way goes on; a file that none has finished is scrubbed first. */
const STATEMENTS = [
  `alter table files
    add column scrubbed_at timestamptz not null default '-infinity',
    add column scrub_stripe int not null default 0 check (scrub_stripe >= 0)`,
  `create index files_to_scrub on files (scrubbed_at, id) where status <> 'gone'`,
  `create index files_damaged on files (id) where status in ('degraded', 'unavailable')`,
];
