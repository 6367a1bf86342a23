/** From what PostgreSQL returns to what core understands. */
import type { ObjectKey, ObjectRef } from "../core/model.js";

/** A bigint column. Beyond 2^53 a number would be silently wrong, so that is a bug here, not a value. */
export function integer(value: number | string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new RangeError(`the database holds ${value}, which is no safe integer`);
  return number;
}

/** Bytes of their own: pg's are slices of a shared pool, which must not be handed to a worker. */
export function bytes(value: Uint8Array): Uint8Array {
  return new Uint8Array(value);
}

export function hex(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}

/** PostgreSQL takes 32 hex digits as a uuid and gives them back with hyphens. */
export function objectKey(uuid: string): ObjectKey {
  return uuid.replaceAll("-", "");
}

export interface ObjectRow {
  readonly bucket_id: number;
  readonly object_key: string;
}

export function toObjectRef(row: ObjectRow): ObjectRef {
  return { bucketId: row.bucket_id, objectKey: objectKey(row.object_key) };
}

/** Two arrays for `unnest($1::smallint[], $2::uuid[])`: any number of rows in a statement of fixed text. */
export function objectColumns(objects: readonly ObjectRef[]): { bucketIds: number[]; objectKeys: string[] } {
  return { bucketIds: objects.map(o => o.bucketId), objectKeys: objects.map(o => o.objectKey) };
}
