/** An OpenID provider on this machine, over real HTTP: it publishes keys, and signs tokens, good ones and bad ones. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { CryptoKey, JWK, JWTHeaderParameters } from "jose";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

export const AUDIENCE = "scattervault";

interface SigningKey {
  readonly kid: string;
  readonly secret: CryptoKey;
  readonly published: JWK;
}

export class IdentityProvider {
  /** Paths asked for, in order. */
  readonly asked: string[] = [];
  /** Put in place of an answer; null: as a provider should. */
  answer: ((req: IncomingMessage, res: ServerResponse) => void) | null = null;
  #keys: SigningKey[] = [];
  readonly #server = createServer((req, res) => this.#serve(req, res));

  static async start(): Promise<IdentityProvider> {
    const provider = new IdentityProvider();
    await provider.addKey("first");
    await provider.listen();
    return provider;
  }

  /** Again on `port`, after {@link stop}. */
  async listen(port = 0): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get issuer(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What an operator sets to have this provider's tokens accepted. */
  get env(): Record<string, string> {
    return { OIDC_ISSUER: this.issuer, OIDC_AUDIENCE: AUDIENCE };
  }

  /** One more key, with which tokens are signed from now on. */
  async addKey(kid: string, alg = "RS256"): Promise<SigningKey> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    const key = {
      kid,
      secret: privateKey,
      published: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" },
    };
    this.#keys.push(key);
    return key;
  }

  /** The old keys are published no more. */
  async rotate(kid: string): Promise<void> {
    this.#keys = [];
    await this.addKey(kid);
  }

  get newest(): SigningKey {
    const key = this.#keys.at(-1);
    if (!key) throw new Error("a provider has a key");
    return key;
  }

  /** A token as this provider gives it, but for what is said otherwise; a claim that is undefined is left out. */
  token(
    claims: Record<string, unknown> = {},
    header: Partial<JWTHeaderParameters> = {},
    secret: CryptoKey | Uint8Array = this.newest.secret,
  ): Promise<string> {
    const all = { iss: this.issuer, aud: AUDIENCE, sub: "user-1", exp: inSeconds(300), ...claims };
    return new SignJWT(all)
      .setProtectedHeader({ alg: "RS256", kid: this.newest.kid, ...header })
      .sign(secret);
  }

  #serve(req: IncomingMessage, res: ServerResponse): void {
    this.asked.push(req.url ?? "");
    if (this.answer) this.answer(req, res);
    else if (req.url === "/keys") json(res, { keys: this.#keys.map(({ published }) => published) });
    else if (req.url === "/.well-known/openid-configuration") json(res, this.discovery);
    else res.writeHead(404).end();
  }

  get discovery(): { issuer: string; jwks_uri: string } {
    return { issuer: this.issuer, jwks_uri: `${this.issuer}/keys` };
  }
}

/** Seconds since 1970, so many from now. */
export function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

export function json(res: ServerResponse, body: unknown): void {
  res.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}
