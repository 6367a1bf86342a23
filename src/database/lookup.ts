/** Single rows for administrators, by what names them. */
import { sql } from "kysely";
import type { FileId } from "../format/id.js";
import type { ChunkView, Lookup } from "../core/catalogue.js";
import type { Grant, StoredFile, Upload } from "../core/model.js";
import type { ChunkViewRow } from "./chunk-catalogue.js";
import { CHUNK_COLUMNS, toChunkView } from "./chunk-catalogue.js";
import { FileTable, GrantTable, UploadTable } from "./entities.js";
import { toFile } from "./file-row.js";
import { toGrant } from "./grant-store.js";
import type { Database } from "./orm.js";
import { toUpload } from "./upload-store.js";

export class LookupRows implements Lookup {
  constructor(private readonly database: Database) {}

  async files(
    by: { hashes: readonly string[] } | { ids: readonly FileId[] },
  ): Promise<readonly (StoredFile | null)[]> {
    const where =
      "ids" in by
        ? { id: { $in: [...by.ids] } }
        : { hash: { $in: by.hashes.map(hash => Buffer.from(hash, "hex")) } };
    const found = (await this.database.em().find(FileTable, where)).map(toFile);
    const files = new Map(found.map(file => ["ids" in by ? file.id : file.hash, file]));
    return ("ids" in by ? by.ids : by.hashes).map(name => files.get(name) ?? null);
  }

  async upload(id: FileId): Promise<Upload | null> {
    const row = await this.database.em().findOne(UploadTable, { id });
    return row && toUpload(row);
  }

  async chunk(fileId: FileId, stripe: number, shard: number): Promise<ChunkView | null> {
    const { rows } = await sql<ChunkViewRow>`
      select ${CHUNK_COLUMNS} from chunks c
      where c.file_id = ${fileId} and c.stripe = ${stripe} and c.shard = ${shard}`.execute(
      this.database.em().getKysely(),
    );
    return rows[0] ? toChunkView(rows[0]) : null;
  }

  async link(id: Uint8Array): Promise<Grant | null> {
    const row = await this.database.em().findOne(GrantTable, { id: Buffer.from(id), kind: "link" });
    return row && toGrant(row);
  }
}
