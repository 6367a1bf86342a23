/**
 * How often chunks of an upload were moved by a drain: whoever makes a file of it writes the manifest from rows that it has
 * read before, and triggers tell only of what happens to a file's chunks (migration 0007).
 */
import { Migration } from "@mikro-orm/migrations";

export class MovedChunks extends Migration {
  override up(): void {
    this.addSql(`alter table uploads add column moved_chunks bigint not null default 0`);
  }
}
