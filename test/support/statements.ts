/** Sees every statement that this process sends to PostgreSQL, by any way. */
import pg from "pg";

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** The statements that were sent while `act` ran. */
export async function statementsOf(act: () => Promise<unknown>): Promise<Statement[]> {
  const seen: Statement[] = [];
  const { query } = pg.Client.prototype;
  pg.Client.prototype.query = function (
    this: pg.Client,
    first: string | { text: string; values?: unknown[] },
    ...rest: unknown[]
  ) {
    const { text, values = [] } = typeof first === "string" ? { text: first } : first;
    seen.push({ text, values: Array.isArray(rest[0]) ? rest[0] : values });
    return Reflect.apply(query, this, [first, ...rest]);
  } as typeof query;
  try {
    await act();
    return seen;
  } finally {
    pg.Client.prototype.query = query;
  }
}
