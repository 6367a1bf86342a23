/**
 * Recovery manifests: which objects are one, and whether they still say what the database says. Triggers on what a
 * manifest says raise the file's revision in the transaction that changes it, so that nobody who changes a password, the
 * terms or the place of a chunk can forget to. An upload that is no file yet has no row here, and pays for none of it.
 */
import { Migration } from "@mikro-orm/migrations";

export class Manifests extends Migration {
  override up(): void {
    for (const statement of [...TABLES, ...CHUNKS, ...GRANTS, ...FILES]) this.addSql(statement);
  }
}

/**
 * `map_key` opens the chunk map in the manifest, which the database holds in clear beside it; it opens no byte of the file.
 * `escrow_id` names the operator's key that the manifest was written under; empty: none.
 * `revision` counts the file's changes, `map_revision` is the last that moved a chunk, `written_revision` what the
 * buckets hold. Part -1 is the manifest itself, the others hold pieces of the map of a large file.
 * An object that a manifest in the buckets still names outlives its chunk row in `superseded_objects`, until a newer
 * manifest is there: at no moment does the newest one name what the sweep has taken.
 */
const TABLES = [
  `create table manifests (
    file_id           uuid primary key,
    map_key           bytea not null check (octet_length(map_key) = 32),
    escrow_id         bytea not null,
    revision          bigint not null check (revision > 0),
    map_revision      bigint not null,
    written_revision  bigint not null,
    check (map_revision <= revision and written_revision <= revision)
  )`,
  `create index manifests_stale on manifests (file_id) where written_revision < revision`,
  `create index manifests_by_escrow on manifests (escrow_id)`,
  `create table manifest_objects (
    file_id       uuid not null,
    part          int not null check (part >= -1),
    bucket_id     smallint not null,
    object_key    uuid not null,
    stored_bytes  int not null check (stored_bytes > 0),
    digest        bytea not null check (octet_length(digest) = 32),
    primary key (file_id, part, bucket_id)
  )`,
  `create index manifest_objects_of_bucket on manifest_objects (bucket_id)`,
  `create table superseded_objects (
    bucket_id   smallint not null,
    object_key  uuid not null,
    file_id     uuid not null,
    revision    bigint not null,
    primary key (bucket_id, object_key)
  )`,
  `create index superseded_objects_of_file on superseded_objects (file_id)`,
];

/** Not on insert: that is how uploads grow, and the map of a file has no row to gain that it did not lose before. */
const CHUNKS = [
  `create function supersede_chunks() returns trigger language plpgsql as $$
  begin
    if tg_op = 'DELETE' then
      with stale as (
        update manifests set revision = revision + 1, map_revision = revision + 1
        where file_id in (select file_id from went) returning file_id, revision
      )
      insert into superseded_objects
      select bucket_id, object_key, file_id, revision from went join stale using (file_id) on conflict do nothing;
    else
      with moved as (
        select o.file_id, o.bucket_id, o.object_key from went o join came n using (file_id, stripe, shard)
        where (o.bucket_id, o.object_key, o.digest) is distinct from (n.bucket_id, n.object_key, n.digest)
      ), stale as (
        update manifests set revision = revision + 1, map_revision = revision + 1
        where file_id in (select file_id from moved) returning file_id, revision
      )
      insert into superseded_objects
      select bucket_id, object_key, file_id, revision from moved join stale using (file_id) on conflict do nothing;
    end if;
    return null;
  end $$`,
  `create trigger chunks_superseded_by_update after update on chunks
    referencing old table as went new table as came for each statement execute function supersede_chunks()`,
  `create trigger chunks_superseded_by_delete after delete on chunks
    referencing old table as went for each statement execute function supersede_chunks()`,
];

/** Links do not outlive the database, so only the password's wrap counts. */
const GRANTS = [
  `create function revise_manifest_of_grant() returns trigger language plpgsql as $$
  begin
    update manifests set revision = revision + 1 where file_id = old.file_id;
    return null;
  end $$`,
  `create trigger grants_password_changed after update of wrap on grants
    for each row when (old.kind = 'password' and old.wrap is distinct from new.wrap)
    execute function revise_manifest_of_grant()`,
  `create trigger grants_password_removed after delete on grants
    for each row when (old.kind = 'password') execute function revise_manifest_of_grant()`,
];

/** Downloads count where they are limited: a restored file must not begin its limit anew. */
const FILES = [
  `create function revise_manifest_of_file() returns trigger language plpgsql as $$
  begin
    update manifests set revision = revision + 1 where file_id = old.id;
    return null;
  end $$`,
  `create trigger files_terms_changed after update on files
    for each row when (
      (old.meta, old.expires_at, old.retain_until, old.max_downloads)
        is distinct from (new.meta, new.expires_at, new.retain_until, new.max_downloads)
      or new.max_downloads is not null and old.download_count <> new.download_count)
    execute function revise_manifest_of_file()`,
];
