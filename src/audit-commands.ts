/** What the command line does with the audit log: check it, and write it out. Page by page, whatever its length. */
import type { Writable } from "node:stream";
import { once } from "node:events";
import { withStores } from "./stores.js";
import { logOf } from "./log.js";
import type { Config } from "./config.js";
import type { AuditEntry, AuditHead, AuditTrail } from "./core/audit.js";
import { NO_ENTRIES } from "./core/audit.js";
import type { AuditVerdict } from "./core/audit-chain.js";
import { auditFields, verifyAudit } from "./core/audit-chain.js";
import { AuditRows } from "./database/audit-log.js";
import { AuditTrailRows } from "./database/audit-trail.js";

const PAGE = 1000;

/** Heads as the command line takes them: what lies before the first entry, and what must still be there. */
export interface AuditHeads {
  readonly from?: AuditHead;
  readonly expect?: AuditHead;
}

export function verifyAuditLog(config: Config, { from, expect }: AuditHeads): Promise<AuditVerdict> {
  return withTrail(config, trail =>
    verifyAudit(entriesAfter(trail, (from ?? NO_ENTRIES).seq), {
      claimed: () => trail.head(),
      ...(from && { from }),
      ...(expect && { expected: expect }),
    }),
  );
}

/** The verdict as a line; the head as `--expect` takes it. */
export function verdictText(verdict: AuditVerdict): string {
  if (!verdict.isWhole) return JSON.stringify(verdict);
  const { seq, hash } = verdict.head;
  return JSON.stringify({ isWhole: true, head: `${seq}:${hash}` });
}

/** Writes a JSON object a line, oldest first: what docs/audit.md says how to verify. */
export function exportAuditLog(config: Config, { from }: AuditHeads, out: Writable): Promise<void> {
  return withTrail(config, async trail => {
    await trail.head(); // chains what waits
    for await (const entry of entriesAfter(trail, (from ?? NO_ENTRIES).seq)) {
      const line = `${JSON.stringify({ ...auditFields(entry), hash: entry.hash })}\n`;
      if (!out.write(line)) await once(out, "drain");
    }
  });
}

function withTrail<T>(config: Config, act: (trail: AuditTrail) => Promise<T>): Promise<T> {
  return withStores(config, (database, log) =>
    act(new AuditTrailRows(database, new AuditRows(database, logOf(log)))),
  );
}

async function* entriesAfter(trail: AuditTrail, seq: number): AsyncGenerator<AuditEntry> {
  for (let after = seq; ; ) {
    const page = await trail.entries(after, PAGE);
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < PAGE) return;
    after = last.seq;
  }
}
