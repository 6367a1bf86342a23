/** Uses of links. A use of a link is a download of its file, so both are counted in one transaction. */
import { sql } from "kysely";
import type { UseStore } from "../core/grant-ports.js";
import type { Database } from "./orm.js";

/** The link may be used at all: not revoked, not past its time. */
const IS_LIVE = sql`kind = 'link' and revoked_at is null and coalesce(expires_at > now(), true)`;

export class UseRows implements UseStore {
  constructor(private readonly database: Database) {}

  async begin(id: Uint8Array, start: number): Promise<"begun" | "continued" | "refused" | "exhausted"> {
    if (start > 0 && (await this.#isOpen(id))) return "continued";
    return this.database.transaction(async em => {
      const db = em.getKysely();
      // The file first and then its link, as everyone who locks both does. Under the locks deciding and counting are one.
      const files = await sql<{ id: string; has_left: boolean }>`
        select id, status <> 'gone' and coalesce(download_count < max_downloads, true)
          and (coalesce(expires_at > now(), true) or coalesce(retain_until > now(), false)) as has_left
        from files where id = (select file_id from grants where id = ${id}) for no key update`.execute(db);
      const links = await sql<{ is_open: boolean; has_left: boolean }>`
        select use_count > ended_count as is_open, coalesce(use_count < max_uses, true) as has_left
        from grants where id = ${id} and ${IS_LIVE} for update`.execute(db);
      const [file, link] = [files.rows[0], links.rows[0]];
      if (!file || !link) return "refused";
      if (start > 0 && link.is_open) return "continued";
      if (!link.has_left) return "refused";
      if (!file.has_left) return "exhausted";
      await sql`update files set download_count = download_count + 1 where id = ${file.id}`.execute(db);
      await sql`update grants set use_count = use_count + 1 where id = ${id}`.execute(db);
      return "begun";
    });
  }

  async end(id: Uint8Array): Promise<boolean> {
    const { rows } = await sql`
      with ended as (
        update grants set ended_count = ended_count + 1
        where id = ${id} and ended_count < use_count returning file_id
      )
      select f.id from files f join ended on ended.file_id = f.id
      where f.download_count >= f.max_downloads`.execute(this.database.em().getKysely());
    return rows.length === 1;
  }

  /** Needs no lock: it changes nothing, so whatever happens at the same moment may as well have happened after it. */
  async #isOpen(id: Uint8Array): Promise<boolean> {
    const { rows } = await sql`
      select 1 from grants where id = ${id} and ${IS_LIVE} and use_count > ended_count`.execute(
      this.database.em().getKysely(),
    );
    return rows.length === 1;
  }
}
