/**
 * The audit log. Events are written to `audit_inbox` by the transactions that make them, side by side; one at a time,
 * whoever holds the row of `audit_head` moves them into `audit_events` and chains them (docs/audit.md).
 */
import { Migration } from "@mikro-orm/migrations";

export class Audit extends Migration {
  override up(): void {
    for (const statement of [INBOX, EVENTS, HEAD, APPEND_ONLY]) this.addSql(statement);
  }
}

const FIELDS = `
    at          timestamptz(3) not null default clock_timestamp(),
    action      text not null check (action ~ '^[A-Z_]{1,40}$'),
    outcome     text not null check (outcome in ('SUCCESS', 'DENIED', 'FAILED')),
    file_id     uuid,
    file_hash   bytea check (octet_length(file_hash) = 32),
    bucket_id   smallint,
    actor       text,
    client_ip   text,
    request_id  text,
    code        text check (code ~ '^[A-Z_]{1,40}$'),
    count       int not null default 1 check (count > 0)`;

const INBOX = `
  create table audit_inbox (
    id          bigint generated always as identity primary key,
    ${FIELDS}
  )`;

const EVENTS = `
  create table audit_events (
    seq         bigint primary key check (seq > 0),
    ${FIELDS},
    previous    bytea not null check (octet_length(previous) = 32),
    hash        bytea not null check (octet_length(hash) = 32)
  );
  create index audit_events_of_file on audit_events (file_id, seq) where file_id is not null;
  create index audit_events_of_bucket on audit_events (bucket_id, seq) where bucket_id is not null;
  create index audit_events_of_action on audit_events (action, seq);
  create index audit_events_refused on audit_events (seq) where outcome <> 'SUCCESS';
  create index audit_events_by_time on audit_events (at)`;

/** One row. */
const HEAD = `
  create table audit_head (
    id    smallint primary key default 1 check (id = 1),
    seq   bigint not null,
    hash  bytea not null check (octet_length(hash) = 32)
  );
  insert into audit_head (seq, hash) values (0, decode(repeat('00', 32), 'hex'))`;

/** Against honest mistakes: who may alter tables may drop a trigger, and is found by the chain. */
const APPEND_ONLY = `
  create function audit_is_append_only() returns trigger language plpgsql as $$
    begin
      raise exception 'the audit log is append-only: % refused', lower(tg_op) using errcode = 'restrict_violation';
    end $$;
  create trigger append_only before update or delete or truncate on audit_events
    for each statement execute function audit_is_append_only();
  create trigger append_only before update or truncate on audit_inbox
    for each statement execute function audit_is_append_only();
  create trigger append_only before delete or truncate on audit_head
    for each statement execute function audit_is_append_only()`;
