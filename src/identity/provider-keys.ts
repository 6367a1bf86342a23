/**
 * The public keys of an OpenID provider: found through its discovery document, kept for a while, fetched anew when a
 * token names a key that is not among them. Where to look comes from the configuration alone, never from a token.
 */
import type { JWTVerifyGetKey } from "jose";
import { createRemoteJWKSet, customFetch } from "jose";
import { z } from "zod";
import { fetchJson } from "./bounded-fetch.js";

const DISCOVERY_PATH = "/.well-known/openid-configuration";
const DISCOVERY = z.object({ issuer: z.string(), jwks_uri: z.string() });
/** What jose would refuse only after the fetch, when it is too late to leave the provider alone for a while. */
const KEYS = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });
/** HTTP without TLS is for a provider on this very machine, in development and tests. */
const LOOPBACK_HOSTS = new Set(["localhost", "127.0.0.1", "[::1]"]);

export interface KeyTimings {
  /** Bound on discovery and keys together. */
  readonly timeoutMs: number;
  /** How long keys are believed without asking again. */
  readonly maxAgeMs: number;
  /** Tokens with unknown keys make us ask at most this often. */
  readonly cooldownMs: number;
  /** After a failure the provider is left alone for this long. */
  readonly pauseMs: number;
}

export const KEY_TIMINGS: KeyTimings = {
  timeoutMs: 5_000,
  maxAgeMs: 600_000,
  cooldownMs: 30_000,
  pauseMs: 5_000,
};

/** The provider cannot be asked for its keys, or answers nonsense. */
export class ProviderAwayError extends Error {
  override readonly name = "ProviderAwayError";
}

/** True for `https:`, and for `http:` to this machine. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || (protocol === "http:" && LOOPBACK_HOSTS.has(hostname));
}

/** Finds the key of a token. Rejects with {@link ProviderAwayError}, or with jose's errors about the token. */
export function providerKeys(issuer: string, timings: KeyTimings): JWTVerifyGetKey {
  let pausedUntilMs = 0;
  const fetchKeys = async (signal: AbortSignal): Promise<Response> => {
    const pausedMs = pausedUntilMs - performance.now();
    if (pausedMs > 0) throw new ProviderAwayError(`left alone for ${Math.ceil(pausedMs)} ms more`);
    try {
      return Response.json(await discoverKeys(issuer, signal));
    } catch (cause) {
      pausedUntilMs = performance.now() + timings.pauseMs;
      throw new ProviderAwayError("the identity provider's keys cannot be had", { cause });
    }
  };
  // Discovery is part of every fetch, so that keys that have moved are found without a restart.
  return createRemoteJWKSet(new URL(issuer), {
    timeoutDuration: timings.timeoutMs,
    cacheMaxAge: timings.maxAgeMs,
    cooldownDuration: timings.cooldownMs,
    [customFetch]: (_url, { signal }) => fetchKeys(signal),
  });
}

async function discoverKeys(issuer: string, signal: AbortSignal): Promise<unknown> {
  const discovered = DISCOVERY.parse(
    await fetchJson(`${issuer.replace(/\/$/, "")}${DISCOVERY_PATH}`, signal),
  );
  if (discovered.issuer !== issuer) throw new Error("the discovery document is another issuer's");
  if (!isSafeUrl(discovered.jwks_uri)) throw new Error("jwks_uri is not https");
  return KEYS.parse(await fetchJson(discovered.jwks_uri, signal));
}
