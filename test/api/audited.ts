/** What the audit log of a server says, and a log that cannot be written. */
import pg from "pg";
import type { AuditFactsFragment } from "../generated/graphql.js";
import { FileAuditEventsDocument } from "../generated/graphql.js";
import type { TestServer } from "../support/server.js";
import { ask } from "./graphql/client.js";

/** What is recorded of a file, newest first. */
export async function eventsOf(server: TestServer, hash: string): Promise<readonly AuditFactsFragment[]> {
  const admin = { Authorization: `Bearer ${server.adminToken}` };
  const { data, errors } = await ask(server.url, FileAuditEventsDocument, { hash, first: 100 }, admin);
  if (!data?.file?.auditEvents) throw new Error(JSON.stringify(errors));
  return data.file.auditEvents.nodes;
}

/** `ACTION OUTCOME message`, oldest first. */
export async function storyOf(server: TestServer, hash: string): Promise<string[]> {
  const events = (await eventsOf(server, hash)).toReversed();
  return events.map(({ action, outcome, message }) => [action, outcome, message].filter(Boolean).join(" "));
}

/** The rows of the last statement. */
export async function query<Row extends pg.QueryResultRow>(
  server: TestServer,
  ...statements: readonly string[]
): Promise<Row[]> {
  const client = new pg.Client(server.databaseUrl);
  await client.connect();
  try {
    let rows: Row[] = [];
    for (const statement of statements) ({ rows } = await client.query<Row>(statement));
    return rows;
  } finally {
    await client.end();
  }
}

/** Runs `act` while nothing can be recorded. */
export async function whileNothingIsRecorded(server: TestServer, act: () => Promise<void>): Promise<void> {
  await query(
    server,
    "create function no_audit() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$",
    "create trigger broken before insert on audit_inbox execute function no_audit()",
  );
  try {
    await act();
  } finally {
    await query(server, "drop trigger broken on audit_inbox", "drop function no_audit");
  }
}
