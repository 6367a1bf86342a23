/** What the claims of a verified token say of its holder. */
import type { Role } from "../core/model.js";

const ROLES: readonly Role[] = ["uploader", "admin"];
/** For the audit log: long enough for any real name, short enough for a line. */
const MAX_NAME_LENGTH = 200;

/**
 * The roles in the claim called `path`: a text or a list of texts; others than ours are left out. A claim that has the
 * whole path as its name goes before a way into nested claims (`realm_access.roles`): some names are URLs, with dots.
 */
export function rolesIn(claims: object, path: string): ReadonlySet<Role> {
  const claim = own(claims, path) ?? path.split(".").reduce<unknown>(own, claims);
  const names = Array.isArray(claim) ? claim : [claim];
  return new Set(ROLES.filter(role => names.includes(role)));
}

/** `oidc:` and what people and the provider call the holder. Never equal to a name that is not a token's. */
export function nameIn(claims: object): string {
  const names = [own(claims, "preferred_username"), own(claims, "sub")].filter(
    name => typeof name === "string",
  );
  return `oidc:${names.join(" ").replace(/\p{C}/gu, "�")}`.slice(0, MAX_NAME_LENGTH);
}

function own(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}
