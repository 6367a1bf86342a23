/** Who asks: the address that limits count by, and the roles that a bearer token gives. */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIPv6 } from "node:net";
import type { Request } from "express";
import { VaultError } from "../core/errors.js";
import type { Caller } from "../core/model.js";

const BEARER = /^Bearer +(\S+)$/i;
const IPV6_GROUPS = 8;
/** A network gives each customer at least a /64: its first four groups. */
const NETWORK_GROUPS = 4;

/** Throws UNAUTHENTICATED for a bearer token that is not valid. Other schemes are not looked at. */
export function callerOf(req: Request, adminToken: string | null): Caller {
  const address = limitAddress(req.ip ?? "");
  const token = BEARER.exec(req.headers.authorization ?? "")?.[1];
  if (token === undefined) return { address, roles: new Set(), name: null };
  if (adminToken === null || !sameSecret(token, adminToken)) {
    throw new VaultError("UNAUTHENTICATED", "a bearer token that is not valid");
  }
  return { address, roles: new Set(["admin"]), name: "admin" };
}

/** Throws UNAUTHENTICATED, or FORBIDDEN for a caller with another role. */
export function requireAdmin({ roles }: Caller): void {
  if (roles.has("admin")) return;
  throw new VaultError(roles.size === 0 ? "UNAUTHENTICATED" : "FORBIDDEN", "for administrators");
}

/** An IPv4 address as it is, also when it is mapped into IPv6; an IPv6 address cut to its /64. */
export function limitAddress(ip: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped !== undefined) return mapped;
  const address = ip.replace(/%.*$/, ""); // a link-local address names its interface
  if (!isIPv6(address)) return address;
  // The URL parser writes every form of an address in one canonical way.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail ? tail.split(":") : [];
  const zeros = tail === undefined ? 0 : IPV6_GROUPS - before.length - after.length;
  const groups = [...before, ...Array<string>(zeros).fill("0"), ...after];
  return `${groups.slice(0, NETWORK_GROUPS).join(":")}::/64`;
}

/** Compared by digest, so that neither content nor length shows in the time it takes. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
