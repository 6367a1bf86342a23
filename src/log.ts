import type { Logger } from "pino";
import type { Log } from "./core/ports.js";

/** pino takes facts first; core and the adapters, which do not know pino, say the sentence first. */
export function logOf(log: Logger): Log {
  return {
    info: (message, facts) => log.info(facts ?? {}, message),
    warn: (message, facts) => log.warn(facts ?? {}, message),
    error: (message, facts) => log.error(facts ?? {}, message),
  };
}
