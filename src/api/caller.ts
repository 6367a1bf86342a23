/** Who asks: the address that limits count by, and the roles that a bearer token gives. */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIPv6 } from "node:net";
import type { Request } from "express";
import { VaultError } from "../core/errors.js";
import type { Caller, Identity } from "../core/model.js";
import { requireRole } from "../core/roles.js";
import type { ApiDeps } from "./deps.js";

const BEARER = /^Bearer +(\S+)$/i;
const IPV6_GROUPS = 8;
/** A network gives each customer at least a /64: its first four groups. */
const NETWORK_GROUPS = 4;

const ANONYMOUS: Identity = { roles: new Set(), name: null };
const ADMINISTRATOR: Identity = { roles: new Set(["admin"]), name: "admin" };

/** A token is verified once a request, however often a door asks. */
const callers = new WeakMap<Request, Promise<Caller>>();

/**
 * Rejects with UNAUTHENTICATED for a bearer token that is not valid, IDENTITY_UNAVAILABLE when that cannot be told: a
 * token is never taken for no token. Other schemes are not looked at.
 */
export function callerOf(req: Request, deps: Pick<ApiDeps, "settings" | "tokens">): Promise<Caller> {
  const known = callers.get(req) ?? identify(req, deps);
  callers.set(req, known);
  return known;
}

async function identify(
  req: Request,
  { settings: { adminToken }, tokens }: Pick<ApiDeps, "settings" | "tokens">,
): Promise<Caller> {
  const visitor = visitorOf(req);
  const token = BEARER.exec(req.headers.authorization ?? "")?.[1];
  if (token === undefined) return visitor;
  if (adminToken !== null && sameSecret(token, adminToken)) return { ...visitor, ...ADMINISTRATOR };
  if (!tokens) throw new VaultError("UNAUTHENTICATED", "a bearer token that is not valid");
  return { ...visitor, ...(await tokens.verify(token)) };
}

/** The caller without a look at any token: for what asks for no role. */
export function visitorOf(req: Request): Caller {
  const ip = plainAddress(req.ip ?? "");
  return { ...ANONYMOUS, ip, address: limitAddress(ip), requestId: String(req.id) };
}

/** Throws UNAUTHENTICATED, or FORBIDDEN for a caller with another role. */
export function requireAdmin(caller: Caller): void {
  requireRole(caller, "admin");
}

/** An IPv4 address as it is, also when it is mapped into IPv6; an IPv6 address cut to its /64. */
export function limitAddress(ip: string): string {
  const address = plainAddress(ip);
  if (!isIPv6(address)) return address;
  // The URL parser writes every form of an address in one canonical way.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail ? tail.split(":") : [];
  const zeros = tail === undefined ? 0 : IPV6_GROUPS - before.length - after.length;
  const groups = [...before, ...Array<string>(zeros).fill("0"), ...after];
  return `${groups.slice(0, NETWORK_GROUPS).join(":")}::/64`;
}

function plainAddress(ip: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  return mapped ?? ip.replace(/%.*$/, ""); // a link-local address names its interface
}

/** Compared by digest, so that neither content nor length shows in the time it takes. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
