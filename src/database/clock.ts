import { sql } from "kysely";
import type { Clock } from "../core/ports.js";
import type { Database } from "./orm.js";

/** The one clock of all replicas: expiry is compared by the database, so it is set by the database's time too. */
export class DatabaseClock implements Clock {
  constructor(private readonly database: Database) {}

  async now(): Promise<Date> {
    const { rows } = await sql<{ ms: string }>`
      select floor(extract(epoch from clock_timestamp()) * 1000) as ms`.execute(
      this.database.em().getKysely(),
    );
    return new Date(Number(rows[0]?.ms));
  }
}
