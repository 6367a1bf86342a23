/** Grants: who may open a file, until when and how often. */
import type { EntityManager } from "@mikro-orm/postgresql";
import type { RawBuilder } from "kysely";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import { VaultError } from "../core/errors.js";
import type { Grant, GrantKind } from "../core/model.js";
import type { AuditEvent } from "../core/audit.js";
import type { GrantStore, NewGrant } from "../core/grant-ports.js";
import { recordAudit } from "./audit-log.js";
import type { GrantRow } from "./entities.js";
import { GrantTable } from "./entities.js";
import type { Database } from "./orm.js";
import { runPrepared } from "./prepared.js";
import { ALWAYS, allColumns, bytes, date, named } from "./rows.js";

export class GrantRows implements GrantStore {
  constructor(private readonly database: Database) {}

  add(grant: NewGrant, openedBy: Uint8Array, event?: AuditEvent): Promise<Grant | null> {
    return this.database.transaction(async em => {
      // Shredding locks the file first. A grant that slipped in behind it would leave a key to what is gone.
      await lockLivingFile(em, grant.fileId, sql`for key share`);
      // Replacing waits for this lock, or has been faster. A link that slipped in behind it would outlive its password.
      const password = await sql`
        select 1 from grants where id = ${openedBy} and file_id = ${grant.fileId} and kind = 'password'
        for share`.execute(em.getKysely());
      if (password.rows.length === 0) return null;
      await insertGrants(em, [grant]);
      await recordAudit(em, event);
      return toGrant(await em.findOneOrFail(GrantTable, { id: Buffer.from(grant.id) }));
    });
  }

  async find(by: { id: Uint8Array; kind: GrantKind } | { passwordOf: FileId }): Promise<Grant | null> {
    const isIt =
      "id" in by
        ? sql`id = ${by.id} and kind = ${by.kind}`
        : sql`file_id = ${by.passwordOf} and kind = 'password'`;
    const statement = sql<object>`select ${allColumns(GrantTable, "g")} from grants g where ${isIt}`;
    const [row] = await runPrepared(this.database.em(), statement);
    return row ? toGrant(named(row)) : null;
  }

  replacePassword(
    oldId: Uint8Array,
    grant: NewGrant,
    { revokeLinks }: { revokeLinks: boolean },
    event?: AuditEvent,
  ): Promise<boolean> {
    const { fileId } = grant;
    return this.database.transaction(async em => {
      const db = em.getKysely();
      await lockLivingFile(em, fileId, sql`for no key update`);
      const { rows } = await sql`
        update grants set id = ${grant.id}, wrap = ${grant.wrap}, created_at = default
        where id = ${oldId} and file_id = ${fileId} and kind = 'password' returning id`.execute(db);
      if (rows.length === 0) return false;
      if (revokeLinks) {
        await sql`
          update grants set revoked_at = now()
          where file_id = ${fileId} and kind = 'link' and revoked_at is null`.execute(db);
      }
      await recordAudit(em, event);
      return true;
    });
  }

  revoke(linkId: Uint8Array, event?: AuditEvent): Promise<Grant | null> {
    const id = Buffer.from(linkId);
    return this.database.transaction(async em => {
      const { rows } = await sql`
        update grants set revoked_at = now()
        where id = ${id} and kind = 'link' and revoked_at is null returning id`.execute(em.getKysely());
      if (rows.length === 0) return null;
      await recordAudit(em, event);
      return toGrant(await em.findOneOrFail(GrantTable, { id }));
    });
  }
}

/** Locks the file, before any of its grants is locked. Throws FILE_GONE. */
async function lockLivingFile(em: EntityManager, id: FileId, lock: RawBuilder<unknown>): Promise<void> {
  const { rows } = await sql<{ is_gone: boolean }>`
    select status = 'gone' as is_gone from files where id = ${id} ${lock}`.execute(em.getKysely());
  if (rows[0]?.is_gone !== false) throw new VaultError("FILE_GONE", `file ${id} is gone`);
}

/** Writes grants within the caller's transaction. */
export async function insertGrants(em: EntityManager, grants: readonly NewGrant[]): Promise<void> {
  await granting(grants, ALWAYS).execute(em.getKysely());
}

/** The statement that writes grants, also for a part of another one; none while `held` has no row. */
export function granting(grants: readonly NewGrant[], held: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    insert into grants (id, file_id, kind, wrap, disposition, expires_at, max_uses)
    select g.* from ${held}, unnest(
      ${grants.map(g => g.id)}::bytea[], ${grants.map(g => g.fileId)}::uuid[], ${grants.map(g => g.kind)}::text[],
      ${grants.map(g => g.wrap)}::bytea[], ${grants.map(g => g.disposition ?? "attachment")}::text[],
      ${grants.map(g => g.expiresAt)}::timestamptz[], ${grants.map(g => g.maxUses)}::int[]) as g`;
}

export function toGrant(row: GrantRow): Grant {
  return {
    id: bytes(row.id),
    fileId: row.fileId,
    kind: row.kind,
    wrap: bytes(row.wrap),
    createdAt: date(row.createdAt),
    expiresAt: row.expiresAt && date(row.expiresAt),
    isExpired: row.isExpired,
    maxUses: row.maxUses,
    useCount: row.useCount,
    revokedAt: row.revokedAt ? date(row.revokedAt) : null,
    disposition: row.disposition,
  };
}
