/** Buckets that an administrator can steer: what fails together, and objects reserved for a move. */
import { Migration } from "@mikro-orm/migrations";

export class Steering extends Migration {
  override up(): void {
    for (const statement of [DOMAIN, LEASED_AT, ...MOVES]) this.addSql(statement);
  }
}

const DOMAIN = `alter table buckets add column domain text`;

/** Whether anybody may still be writing to an upload: a writer takes a lease before its first byte, and then commits. */
const LEASED_AT = `alter table uploads add column leased_at timestamptz not null default now()`;

/**
 * A pending object belongs to an upload under a lease, or to a move until `held_until`. A version that knows no moves
 * takes those for objects of an upload that is gone, and sweeps them after the grace time: longer than any move.
 */
const MOVES = [
  `alter table pending_objects alter column upload_id drop not null`,
  `alter table pending_objects alter column lease drop not null`,
  `alter table pending_objects add column held_until timestamptz`,
  `alter table pending_objects add check (num_nulls(upload_id, held_until) = 1)`,
  `alter table pending_objects add check ((upload_id is null) = (lease is null))`,
];
