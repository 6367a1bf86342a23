/** What every resolver is given beside its arguments. */
import type { Caller } from "../../core/model.js";
import type { Loaders } from "./loaders.js";

export interface Context {
  readonly caller: Caller;
  readonly requestId: string;
  /** Fires when the client has gone or is too slow. */
  readonly signal: AbortSignal;
  /** Reads for all the things of a page at once what each of them asks for. Of this request alone. */
  readonly loaders: Loaders;
}
