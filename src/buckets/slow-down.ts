import { BucketError } from "../core/errors.js";

/** `unavailable`, from a provider that said how long to wait (`Retry-After`). */
export class SlowDownError extends BucketError {
  constructor(
    message: string,
    readonly retryAfterMs: number,
    options: ErrorOptions = {},
  ) {
    super("unavailable", message, options);
  }
}
