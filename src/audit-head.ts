/**
 * The head of the audit log, told to where the owner of the database cannot write: the log and the metrics. Only against a
 * head kept elsewhere is it found that the newest entries are missing, or that all were written anew (docs/audit.md).
 */
import type { Registry } from "prom-client";
import { Gauge } from "prom-client";
import type { AuditHead, AuditTrail } from "./core/audit.js";
import type { Log } from "./core/ports.js";

/** 12 hexadecimal digits, 48 bits: what a double holds exactly. */
const HASH_DIGITS = 12;

/** Adds the head to what `/metrics` says. Both parts are of one reading, or they would not belong together. */
export function exportAuditHead(registry: Registry, trail: Pick<AuditTrail, "head">, log: Log): void {
  const gauge = new Gauge({
    name: "scattervault_audit_head",
    help: "Newest entry of the audit log: its number, and the first 12 hexadecimal digits of its hash as a number.",
    labelNames: ["part"],
    registers: [registry],
    async collect() {
      try {
        const { seq, hash } = await trail.head();
        gauge.set({ part: "seq" }, seq);
        gauge.set({ part: "hash" }, Number.parseInt(hash.slice(0, HASH_DIGITS), 16));
      } catch (error) {
        log.warn("the head of the audit log cannot be read", { reason: String(error) }); // the other metrics can
      }
    },
  });
}

/** Chains what a process that died has left, and logs the head where it has moved since `before`. Returns the head. */
export async function logAuditHead(
  trail: Pick<AuditTrail, "head">,
  log: Log,
  before: AuditHead | null,
): Promise<AuditHead> {
  const head = await trail.head();
  if (head.hash !== before?.hash) log.info("audit head", { seq: head.seq, hash: head.hash });
  return head;
}
