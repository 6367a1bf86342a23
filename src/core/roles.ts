/** What a caller must be to do what only some may do. */
import { VaultError } from "./errors.js";
import type { Caller, Role } from "./model.js";

/** Passes who has one of `roles`. Throws UNAUTHENTICATED for a caller without a token, FORBIDDEN for one with another role. */
export function requireRole(caller: Caller, ...roles: readonly Role[]): void {
  if (roles.some(role => caller.roles.has(role))) return;
  throw new VaultError(
    caller.name === null ? "UNAUTHENTICATED" : "FORBIDDEN",
    `for ${roles.join(" or ")} only`,
  );
}
