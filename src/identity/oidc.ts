/** The port TokenVerifier over an OpenID provider: tokens are JWTs, signed with a key that the provider publishes. */
import type { JWTVerifyGetKey } from "jose";
import { errors, jwtVerify } from "jose";
import { VaultError } from "../core/errors.js";
import type { Identity } from "../core/model.js";
import type { TokenVerifier } from "../core/ports.js";
import { nameIn, rolesIn } from "./claims.js";
import type { KeyTimings } from "./provider-keys.js";
import { KEY_TIMINGS, providerKeys } from "./provider-keys.js";

/** Signatures with a public key only: `none`, and HS256 with the public key as its secret, are no signatures at all. */
const ALGORITHMS = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" ");
const CLOCK_SKEW_SECONDS = 60;
/** What jose says of the keys it was given, not of the token. */
const KEY_ERRORS = [errors.JWKSInvalid, errors.JWKSTimeout, errors.JWKInvalid];

export interface OidcOptions {
  /** As it stands in the claim `iss`, to the letter. */
  readonly issuer: string;
  /** One of the claim `aud`. */
  readonly audience: string;
  /** See {@link rolesIn}. */
  readonly rolesClaim: string;
  readonly timings?: Partial<KeyTimings>;
}

export class OidcTokens implements TokenVerifier {
  readonly #keys: JWTVerifyGetKey;

  constructor(private readonly options: OidcOptions) {
    this.#keys = providerKeys(options.issuer, { ...KEY_TIMINGS, ...options.timings });
  }

  async verify(token: string): Promise<Identity> {
    const { issuer, audience, rolesClaim } = this.options;
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        algorithms: ALGORITHMS,
        issuer,
        audience,
        clockTolerance: CLOCK_SKEW_SECONDS,
        requiredClaims: ["exp"], // without it a token would be good for ever
      });
      return { name: nameIn(payload), roles: rolesIn(payload, rolesClaim) };
    } catch (error) {
      throw isAboutToken(error) ? refused(error) : away(error);
    }
  }
}

function isAboutToken(error: unknown): error is errors.JOSEError {
  // The class itself, too, is what jose throws when the keys could not be fetched.
  if (!(error instanceof errors.JOSEError) || error.code === errors.JOSEError.code) return false;
  return !KEY_ERRORS.some(known => error instanceof known);
}

/** jose's messages name claims and quote nothing of the token. */
function refused(cause: errors.JOSEError): VaultError {
  return new VaultError("UNAUTHENTICATED", `a token that is not valid: ${cause.code}`, { cause });
}

function away(cause: unknown): VaultError {
  return new VaultError("IDENTITY_UNAVAILABLE", "tokens cannot be verified", { cause });
}
