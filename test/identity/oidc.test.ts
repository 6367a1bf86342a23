/** Tokens and their provider, over real HTTP (threats T28 and T30). */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { CryptoKey, JWTHeaderParameters } from "jose";
import { generateKeyPair, UnsecuredJWT } from "jose";
import { OidcTokens } from "../../src/identity/oidc.js";
import type { KeyTimings } from "../../src/identity/provider-keys.js";
import { AUDIENCE, IdentityProvider, inSeconds, json } from "../support/identity-provider.js";

let provider: IdentityProvider;
/** Somewhere that a token would like us to look for keys. */
let elsewhere: IdentityProvider;
beforeAll(async () => {
  [provider, elsewhere] = await Promise.all([IdentityProvider.start(), IdentityProvider.start()]);
});
afterAll(() => Promise.all([provider.stop(), elsewhere.stop()]));

function tokensOf(of = provider, timings: Partial<KeyTimings> = {}): OidcTokens {
  return new OidcTokens({ issuer: of.issuer, audience: AUDIENCE, rolesClaim: "roles", timings });
}

/** The code with which a token is refused; null: it is not. */
async function refusal(tokens: OidcTokens, token: string): Promise<string | null> {
  try {
    await tokens.verify(token);
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test("a good token says who holds it, and what that one may do", async () => {
  const token = await provider.token({ roles: ["uploader"], preferred_username: "alice" });
  const { name, roles } = await tokensOf().verify(token);
  expect({ name, roles: [...roles] }).toEqual({ name: "oidc:alice user-1", roles: ["uploader"] });
});

test.each(["RS256", "PS256", "ES256", "ES384", "EdDSA"])("a signature with %s is known", async alg => {
  const own = await IdentityProvider.start();
  const { kid } = await own.addKey(alg, alg);
  expect(await refusal(tokensOf(own), await own.token({}, { alg, kid }))).toBeNull();
  await own.stop();
});

describe("a token is refused", () => {
  const admin = { roles: ["admin"] };
  const signed = (
    claims: Record<string, unknown>,
    header: Partial<JWTHeaderParameters> = {},
    secret?: CryptoKey | Uint8Array,
  ) => provider.token({ ...admin, ...claims }, header, secret);

  test.each<[string, () => Promise<string> | string]>([
    ["that has expired", () => signed({ exp: inSeconds(-61) })],
    ["that never expires", () => signed({ exp: undefined })],
    ["that is not valid yet", () => signed({ nbf: inSeconds(90) })],
    ["for another audience", () => signed({ aud: "another" })],
    ["for no audience", () => signed({ aud: undefined })],
    ["of another issuer", () => signed({ iss: elsewhere.issuer })],
    ["of an issuer that differs by a slash", () => signed({ iss: `${provider.issuer}/` })],
    ["signed with another's key under our key's name", () => signed({}, {}, elsewhere.newest.secret)],
    [
      "with a key that nobody knows",
      async () => signed({}, { kid: "unknown" }, (await generateKeyPair("RS256")).privateKey),
    ],
    [
      "without a signature",
      () => new UnsecuredJWT({ ...admin, iss: provider.issuer, aud: AUDIENCE, exp: inSeconds(9) }).encode(),
    ],
    ["with its signature cut off", async () => (await signed({})).replace(/[^.]+$/, "")],
    ["with other claims than were signed", async () => tampered(await signed({ roles: [] }))],
    [
      "that claims an algorithm we do not take",
      async () => hs256(Buffer.from("a shared secret of thirty-two bytes")),
    ],
    ["signed with HS256 and the public key as its secret", () => hs256(publicKeyText())],
    ["that is nothing", () => "x.y.z"],
  ])("%s", async (_, make) => expect(await refusal(tokensOf(), await make())).toBe("UNAUTHENTICATED"));

  test.each(["../../../../dev/null", "' or 1=1 --", "/etc/passwd\0", "x".repeat(5000)])(
    "whose kid is no key's name: %j",
    async kid => expect(await refusal(tokensOf(), await signed({}, { kid }))).toBe("UNAUTHENTICATED"),
  );

  test("that brings its own key, or says where to fetch it, and nobody is asked for it", async () => {
    const { published, secret } = elsewhere.newest;
    const before = elsewhere.asked.length;
    for (const header of [
      { jwk: published },
      { jku: `${elsewhere.issuer}/keys` },
      { x5u: `${elsewhere.issuer}/keys` },
      { jku: `${elsewhere.issuer}/keys`, kid: elsewhere.newest.kid },
    ]) {
      expect(await refusal(tokensOf(), await signed({}, header, secret))).toBe("UNAUTHENTICATED");
    }
    expect(elsewhere.asked.length).toBe(before);
  });

  const publicKeyText = () => {
    const { published } = provider.newest;
    return createPublicKey({ key: published, format: "jwk" }).export({
      type: "spki",
      format: "pem",
    }) as string;
  };
  const hs256 = (secret: string | Uint8Array) => signed({}, { alg: "HS256" }, Buffer.from(secret));
  const tampered = (token: string) => {
    const [header, , signature] = token.split(".");
    const claims = { ...admin, iss: provider.issuer, aud: AUDIENCE, exp: inSeconds(300) };
    return [header, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".");
  };
});

test("a clock that is wrong by less than a minute is forgiven", async () => {
  const token = await provider.token({ exp: inSeconds(-30), nbf: inSeconds(30) });
  expect(await refusal(tokensOf(), token)).toBeNull();
});

describe("the provider's keys", () => {
  test("are asked for once, however many tokens come", async () => {
    const own = await IdentityProvider.start();
    const tokens = tokensOf(own);
    await Promise.all(Array.from({ length: 20 }, async () => tokens.verify(await own.token())));
    expect(own.asked).toEqual(["/.well-known/openid-configuration", "/keys"]);
    await own.stop();
  });

  test("are picked up when they change, without a restart, and the old ones are forgotten", async () => {
    const own = await IdentityProvider.start();
    const tokens = tokensOf(own, { cooldownMs: 0 });
    const old = await own.token();
    expect(await refusal(tokens, old)).toBeNull();
    await own.rotate("second");
    expect(await refusal(tokens, await own.token())).toBeNull();
    expect(await refusal(tokens, old)).toBe("UNAUTHENTICATED");
    await own.stop();
  });

  test("are not asked for by every token that names an unknown one", async () => {
    const own = await IdentityProvider.start();
    const tokens = tokensOf(own);
    const forged = await own.token({}, { kid: "unknown" });
    for (let i = 0; i < 20; i++) expect(await refusal(tokens, forged)).toBe("UNAUTHENTICATED");
    expect(own.asked.filter(path => path === "/keys")).toHaveLength(1);
    await own.stop();
  });
});

describe("a provider that cannot be asked makes tokens unverifiable, never anonymous:", () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const weak = createPublicKey(privateKey).export({ format: "jwk" });

  test.each<[string, (own: IdentityProvider) => IdentityProvider["answer"]]>([
    ["an error", () => (_req, res) => res.writeHead(500).end()],
    ["a redirect", () => (_req, res) => res.writeHead(302, { Location: `${elsewhere.issuer}/keys` }).end()],
    ["no JSON", () => (_req, res) => res.end("<html>")],
    ["no keys", own => (req, res) => json(res, req.url === "/keys" ? {} : own.discovery)],
    [
      "a key too weak to be believed",
      own => (req, res) =>
        json(res, req.url === "/keys" ? { keys: [{ ...weak, kid: "first", alg: "RS256" }] } : own.discovery),
    ],
    ["the discovery of another", () => (_req, res) => json(res, elsewhere.discovery)],
    [
      "keys to be fetched in clear over the network",
      own => (_req, res) => json(res, { ...own.discovery, jwks_uri: "http://keys.example/" }),
    ],
    ["more bytes than anyone's keys have", () => (_req, res) => res.end(Buffer.alloc(2 * 1024 * 1024, " "))],
    ["nothing, for ever", () => () => {}],
  ])("%s", async (_, answerOf) => {
    const own = await IdentityProvider.start();
    const before = elsewhere.asked.length;
    own.answer = answerOf(own);
    expect(await refusal(tokensOf(own, { timeoutMs: 500 }), await own.token())).toBe("IDENTITY_UNAVAILABLE");
    expect(elsewhere.asked.length).toBe(before);
    await own.stop();
  });

  test.each<[number, string | null, string]>([
    // pauseMs, then refused with, why
    [0, null, "asked again, and believed"],
    [60_000, "IDENTITY_UNAVAILABLE", "left alone"],
  ])(
    "%d ms after it was away it may be asked again: back at once, it is %s",
    async (pauseMs, expected, _) => {
      const own = await IdentityProvider.start();
      const tokens = tokensOf(own, { pauseMs });
      const { port } = own;
      const token = await own.token();
      await own.stop();
      expect(await refusal(tokens, token)).toBe("IDENTITY_UNAVAILABLE");
      await own.listen(port);
      expect(await refusal(tokens, token)).toBe(expected);
      expect(own.asked).toHaveLength(expected === null ? 2 : 0);
      await own.stop();
    },
  );

  test("keys that are known go on being good while it is away", async () => {
    const own = await IdentityProvider.start();
    const tokens = tokensOf(own);
    const token = await own.token();
    expect(await refusal(tokens, token)).toBeNull();
    await own.stop();
    expect(await refusal(tokens, token)).toBeNull();
  });
});
