/** The PasswordHasher on libuv's pool: the worker's file exists only once built, and hashing here is the same code. */
import type { PasswordHasher } from "../../src/core/ports.js";
import { passwordKey } from "../../src/format/argon.js";

export class InlineHasher implements PasswordHasher {
  readonly key = passwordKey;

  async close(): Promise<void> {}
}
