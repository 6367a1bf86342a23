/** What every resolver is given beside its arguments. */
import type { Caller } from "../../core/model.js";

export interface Context {
  readonly caller: Caller;
  readonly requestId: string;
  /** Fires when the client has gone or is too slow. */
  readonly signal: AbortSignal;
}
