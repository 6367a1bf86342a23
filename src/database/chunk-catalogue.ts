/**
 * Chunk maps as administrators read them, of one file or of a hundred in one statement: each file's part is a lateral
 * query of its own, so that it reads its index in order and stops at its limit.
 */
import type { RawBuilder } from "kysely";
import { sql } from "kysely";
import type {
  BucketShare,
  ChunkCatalogue,
  ChunkListFilter,
  ChunkView,
  MappedFile,
  Page,
  PageRequest,
} from "../core/catalogue.js";
import type { ChunkRow } from "./chunk-map.js";
import { CHUNK_STATES, toChunkRecord } from "./chunk-map.js";
import type { Cursors } from "./keyset.js";
import { MAX_COUNT, decodeCursor, encodeCursor, once, pageOf } from "./keyset.js";
import type { Database } from "./orm.js";
import { readShares } from "./shares.js";

export class ChunkCatalogueRows implements ChunkCatalogue {
  constructor(private readonly database: Database) {}

  async pages(
    files: readonly MappedFile[],
    page: PageRequest,
    filter: ChunkListFilter,
  ): Promise<readonly Page<ChunkView>[]> {
    const conditions = [conditionOf(filter), ...boundsOf(files, page)];
    const order = page.backward ? sql`c.stripe desc, c.shard desc` : sql`c.stripe, c.shard`;
    const { rows } = await sql<ChunkViewRow & { place: string }>`
      select f.place, c.* from ${rowsOf(files)}
      cross join lateral (
        select ${CHUNK_COLUMNS} from chunks c where c.file_id = f.id and ${sql.join(conditions, sql` and `)}
        order by ${order} limit ${page.limit + 1}
      ) as c
      order by f.place, ${order}`.execute(this.#db());
    const counts = once(() => this.#count(files, filter));
    const found = Map.groupBy(rows, row => Number(row.place));
    return files.map((file, i) => {
      const entries = (found.get(i + 1) ?? []).map(row => ({
        cursor: encodeCursor(cursorsOf(file), [row.stripe, row.shard]),
        node: toChunkView(row),
      }));
      return pageOf(entries, page, async () => (await counts())[i] ?? 0);
    });
  }

  shares(files: readonly MappedFile[], maxRanges: number): Promise<readonly (readonly BucketShare[])[]> {
    return readShares(this.database.em(), files, maxRanges);
  }

  async #count(files: readonly MappedFile[], filter: ChunkListFilter): Promise<number[]> {
    const { rows } = await sql<{ count: string }>`
      select c.count from ${rowsOf(files)}
      cross join lateral (
        select count(*) from (
          select from chunks c where c.file_id = f.id and ${conditionOf(filter)} limit ${MAX_COUNT}
        ) as counted
      ) as c
      order by f.place`.execute(this.#db());
    return rows.map(row => Number(row.count));
  }

  #db() {
    return this.database.em().getKysely();
  }
}

export interface ChunkViewRow extends ChunkRow {
  readonly file_id: string;
  readonly state: number;
  /** Milliseconds since 1970, like the other. */
  readonly written_at: string;
  readonly last_verified_at: string | null;
}

/** Of `chunks c`. */
export const CHUNK_COLUMNS = sql`c.file_id, c.stripe, c.shard, c.bucket_id, c.object_key, c.stored_bytes, c.digest, c.state,
  floor(extract(epoch from c.written_at) * 1000) as written_at,
  floor(extract(epoch from c.last_verified_at) * 1000) as last_verified_at`;

/** The files as a table `f`. */
function rowsOf(files: readonly MappedFile[]): RawBuilder<unknown> {
  return sql`unnest(
    ${files.map(file => file.id)}::uuid[], ${files.map(file => file.parity.dataChunks)}::int[]
  ) with ordinality as f (id, data_chunks, place)`;
}

function conditionOf({ bucketId, state, kind }: ChunkListFilter): RawBuilder<unknown> {
  const states = state?.map(one => CHUNK_STATES.indexOf(one));
  return sql.join(
    [
      sql`true`,
      ...(bucketId === undefined ? [] : [sql`c.bucket_id = ${bucketId}`]),
      ...(states === undefined ? [] : [sql`c.state = any(${states}::smallint[])`]),
      // Says it so that the index of the few chunks that are not well is seen to hold them all.
      ...(states === undefined || states.includes(0) ? [] : [sql`c.state <> 0`]),
      ...(kind === undefined
        ? []
        : [kind === "data" ? sql`c.shard < f.data_chunks` : sql`c.shard >= f.data_chunks`]),
    ],
    sql` and `,
  );
}

/** Throws BAD_REQUEST for a cursor that is not of each of the files: of several, it is not. */
function boundsOf(files: readonly MappedFile[], { after, before }: PageRequest): RawBuilder<unknown>[] {
  return files.flatMap(file => {
    const key = (cursor: string) => decodeCursor(cursorsOf(file), cursor).map(Number);
    return [
      ...(after === null ? [] : [sql`(c.stripe, c.shard) > (${sql.join(key(after))})`]),
      ...(before === null ? [] : [sql`(c.stripe, c.shard) < (${sql.join(key(before))})`]),
    ];
  });
}

function cursorsOf({ id }: MappedFile): Cursors {
  return { name: `chunks ${id}`, keyPattern: /^(\d{1,9}) (\d{1,4})$/ };
}

export function toChunkView(row: ChunkViewRow): ChunkView {
  const state = CHUNK_STATES[row.state];
  if (state === undefined) throw new RangeError(`chunk state ${row.state}`);
  return {
    ...toChunkRecord(row),
    fileId: row.file_id,
    state,
    writtenAt: new Date(Number(row.written_at)),
    lastVerifiedAt: row.last_verified_at === null ? null : new Date(Number(row.last_verified_at)),
  };
}
