/**
 * Keeps a flood of refusals from filling the audit log: a process writes the first ones of each minute one by one, so many
 * of one address and so many in all, and sums the rest, by what was refused and why, into one entry each at the minute's end.
 */
import type { AuditEvent, AuditLog } from "./audit.js";
import type { Log } from "./ports.js";

const WINDOW_MS = 60_000;
/** Written one by one in a window, of one address. */
export const PER_ADDRESS = 10;
/** Written one by one in a window, of all addresses together. */
export const PER_WINDOW = 60;

export class Refusals {
  /** Entries of this window by address: at most {@link PER_WINDOW} addresses. */
  readonly #written = new Map<string, number>();
  #writtenCount = 0;
  /** By action and code, of which there are few. */
  readonly #sums = new Map<string, AuditEvent>();
  #window: NodeJS.Timeout | undefined;

  constructor(
    private readonly log: AuditLog,
    private readonly logger: Log,
  ) {}

  /** Writes or counts the event. Never rejects: an entry that cannot be written is logged instead. */
  async take(event: AuditEvent): Promise<void> {
    this.#window ??= setTimeout(() => void this.flush(), WINDOW_MS).unref();
    const address = event.clientIp ?? "";
    const count = this.#written.get(address) ?? 0;
    if (count >= PER_ADDRESS || this.#writtenCount >= PER_WINDOW) return this.#sum(event);
    this.#written.set(address, count + 1);
    this.#writtenCount++;
    await this.#write(event);
  }

  /** Ends the window: writes the sums. */
  async flush(): Promise<void> {
    clearTimeout(this.#window);
    this.#window = undefined;
    const sums = [...this.#sums.values()];
    this.#sums.clear();
    this.#written.clear();
    this.#writtenCount = 0;
    for (const sum of sums) await this.#write(sum);
  }

  #sum(event: AuditEvent): void {
    const { action, outcome, code } = event;
    const key = `${action} ${code}`;
    const count = (this.#sums.get(key)?.count ?? 0) + 1;
    const nobody = { fileId: null, bucketId: null, actor: null, clientIp: null, requestId: null };
    this.#sums.set(key, { action, outcome, code, count, ...nobody });
  }

  async #write(event: AuditEvent): Promise<void> {
    try {
      await this.log.record(event);
    } catch (error) {
      const { action, code, count } = event;
      this.logger.error("a refusal could not be audited", { action, code, count, reason: String(error) });
    }
  }
}
