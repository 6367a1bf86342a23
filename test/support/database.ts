/** A migrated database for one test file: a copy of the template that global set-up has made. */
import { randomBytes } from "node:crypto";
import pg from "pg";

export const TEMPLATE = "template_app";

export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** Gives a fresh, migrated database. Call `drop` in `afterAll`; it cuts connections that are still open. */
export async function createDatabase({
  name = `test_${randomBytes(8).toString("hex")}`,
  template = TEMPLATE,
} = {}): Promise<TestDatabase> {
  await administer(`create database "${name}" template "${template}"`);
  return {
    url: adminUrl().replace("/app?", `/${name}?`),
    drop: () => administer(`drop database if exists "${name}" with (force)`),
  };
}

/** Runs a statement that no transaction may hold, from beside the databases it is about. */
async function administer(statement: string): Promise<void> {
  const client = new pg.Client(adminUrl());
  await client.connect();
  await client.query(statement).finally(() => client.end());
}

function adminUrl(): string {
  const url = process.env["TEST_DATABASE_URL"];
  if (url === undefined) throw new Error("TEST_DATABASE_URL is not set: run the tests through Jest");
  return url;
}
