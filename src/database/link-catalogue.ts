/** The links of files, newest first, of one file or of a hundred in two statements; see chunk-catalogue.ts. */
import type { EntityManager } from "@mikro-orm/postgresql";
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { LinkCatalogue, Page, PageRequest } from "../core/catalogue.js";
import type { Grant } from "../core/model.js";
import { GrantTable } from "./entities.js";
import { toGrant } from "./grant-store.js";
import type { Cursors } from "./keyset.js";
import { MAX_COUNT, decodeCursor, encodeCursor, once, pageOf } from "./keyset.js";
import type { Database } from "./orm.js";
import { hex } from "./rows.js";

interface Place {
  readonly place: string;
  readonly id: Buffer;
}

export class LinkCatalogueRows implements LinkCatalogue {
  constructor(private readonly database: Database) {}

  async pages(fileIds: readonly FileId[], page: PageRequest): Promise<readonly Page<Grant>[]> {
    const em = this.database.em();
    const places = await this.#places(em, fileIds, page);
    const rows = await em.find(GrantTable, { id: { $in: places.map(({ id }) => id) } });
    const grants = new Map(rows.map(row => [hex(row.id), toGrant(row)]));
    const counts = once(() => this.#count(fileIds));
    const found = Map.groupBy(places, ({ place }) => Number(place));
    return fileIds.map((fileId, i) => {
      const entries = (found.get(i + 1) ?? []).flatMap(({ id }) => {
        const node = grants.get(hex(id));
        if (!node) return []; // shredded between the two statements
        return [{ cursor: encodeCursor(cursorsOf(fileId), [node.createdAt.getTime(), hex(id)]), node }];
      });
      return pageOf(entries, page, async () => (await counts())[i] ?? 0);
    });
  }

  async #places(em: EntityManager, fileIds: readonly FileId[], page: PageRequest): Promise<readonly Place[]> {
    const bounds = [sql`true`, ...boundsOf(fileIds, page)];
    const order = page.backward ? sql`g.created_at, g.id` : sql`g.created_at desc, g.id desc`;
    const { rows } = await sql<Place>`
      select f.place, l.id from unnest(${[...fileIds]}::uuid[]) with ordinality as f (id, place)
      cross join lateral (
        select g.id, row_number() over (order by ${order}) as rank from grants g
        where g.file_id = f.id and g.kind = 'link' and ${sql.join(bounds, sql` and `)}
        order by ${order} limit ${page.limit + 1}
      ) as l
      order by f.place, l.rank`.execute(em.getKysely());
    return rows;
  }

  async #count(fileIds: readonly FileId[]): Promise<number[]> {
    const { rows } = await sql<{ count: string }>`
      select l.count from unnest(${[...fileIds]}::uuid[]) with ordinality as f (id, place)
      cross join lateral (
        select count(*) from (
          select from grants g where g.file_id = f.id and g.kind = 'link' limit ${MAX_COUNT}) as counted
      ) as l
      order by f.place`.execute(this.database.em().getKysely());
    return rows.map(row => Number(row.count));
  }
}

/** Throws BAD_REQUEST for a cursor that is not of each of the files: of several, it is not. */
function boundsOf(fileIds: readonly FileId[], { after, before }: PageRequest) {
  return fileIds.flatMap(fileId => {
    const key = (cursor: string) => {
      const [ms, id] = decodeCursor(cursorsOf(fileId), cursor);
      return sql`(${new Date(Number(ms))}::timestamptz, decode(${id}, 'hex'))`;
    };
    return [
      ...(after === null ? [] : [sql`(g.created_at, g.id) < ${key(after)}`]),
      ...(before === null ? [] : [sql`(g.created_at, g.id) > ${key(before)}`]),
    ];
  });
}

function cursorsOf(fileId: FileId): Cursors {
  return { name: `links ${fileId}`, keyPattern: /^(\d{1,14}) ([0-9a-f]{32})$/ };
}
