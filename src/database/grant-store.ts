/** Grants: who may open a file, until when and how often. */
import type { EntityManager } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import { VaultError } from "../core/errors.js";
import type { Grant, GrantKind } from "../core/model.js";
import type { AuditEvent } from "../core/audit.js";
import type { GrantStore, NewGrant } from "../core/ports.js";
import { recordAudit } from "./audit-log.js";
import type { GrantRow } from "./entities.js";
import { GrantTable } from "./entities.js";
import type { Database } from "./orm.js";
import { bytes } from "./rows.js";

export class GrantRows implements GrantStore {
  constructor(private readonly database: Database) {}

  add(grant: NewGrant, event?: AuditEvent): Promise<Grant> {
    return this.database.transaction(async em => {
      // Shredding locks the file first. A grant that slipped in behind it would leave a key to what is gone.
      const file = await sql<{ is_gone: boolean }>`
        select status = 'gone' as is_gone from files where id = ${grant.fileId} for key share`.execute(
        em.getKysely(),
      );
      if (file.rows[0]?.is_gone !== false) throw new VaultError("FILE_GONE", `file ${grant.fileId} is gone`);
      await insertGrants(em, [grant]);
      await recordAudit(em, event);
      return toGrant(await em.findOneOrFail(GrantTable, { id: Buffer.from(grant.id) }));
    });
  }

  async find(by: { id: Uint8Array; kind: GrantKind } | { passwordOf: FileId }): Promise<Grant | null> {
    const where =
      "id" in by
        ? { id: Buffer.from(by.id), kind: by.kind }
        : { fileId: by.passwordOf, kind: "password" as const };
    const row = await this.database.em().findOne(GrantTable, where);
    return row && toGrant(row);
  }

  beginUse(id: Uint8Array, start: number): Promise<"taken" | "continued" | "refused"> {
    return this.database.transaction(async em => {
      const db = em.getKysely();
      // The row lock makes deciding and counting one step.
      const locked = await sql<{ is_open: boolean; has_left: boolean }>`
        select use_count > ended_count as is_open, coalesce(use_count < max_uses, true) as has_left
        from grants
        where id = ${id} and kind = 'link' and revoked_at is null and coalesce(expires_at > now(), true)
        for update`.execute(db);
      const [grant] = locked.rows;
      if (!grant) return "refused";
      if (start > 0 && grant.is_open) return "continued";
      if (!grant.has_left) return "refused";
      await sql`update grants set use_count = use_count + 1 where id = ${id}`.execute(db);
      return "taken";
    });
  }

  async endUse(id: Uint8Array): Promise<void> {
    await sql`
      update grants set ended_count = ended_count + 1
      where id = ${id} and ended_count < use_count`.execute(this.database.em().getKysely());
  }
}

/** Writes grants within the caller's transaction. */
export async function insertGrants(em: EntityManager, grants: readonly NewGrant[]): Promise<void> {
  if (grants.length === 0) return;
  const rows = grants.map(grant => ({ ...grant, id: Buffer.from(grant.id), wrap: Buffer.from(grant.wrap) }));
  await em.insertMany(GrantTable, rows);
}

export function toGrant(row: GrantRow): Grant {
  return {
    id: bytes(row.id),
    fileId: row.fileId,
    kind: row.kind,
    wrap: bytes(row.wrap),
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
    isExpired: row.isExpired,
    maxUses: row.maxUses,
    useCount: row.useCount,
    revokedAt: row.revokedAt ?? null,
  };
}
