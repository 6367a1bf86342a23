/**
 * `GET|POST /api/retrieve/<hash>`: the password in exchange for a download link. Where the password may stand is the
 * only thing decided here.
 */
import express from "express";
import type { Request, RequestHandler } from "express";
import type { z } from "zod";
import { VaultError } from "../../core/errors.js";
import { callerOf } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { badRequest } from "../errors.js";
import { utf8Of } from "../utf8.js";
import { RETRIEVE_PARAMETERS } from "./parameters.js";

const MAX_BODY_BYTES = 16 * 1024;
const CHALLENGE = 'Basic realm="the password of the file, with any user name", charset="UTF-8"';
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const BASIC = /^Basic +(\S+)$/i;
const FORM_TYPES = ["application/json", "application/x-www-form-urlencoded"];

/** Reads a JSON or urlencoded body; another kind is UNSUPPORTED_MEDIA_TYPE. */
export function readCredentials(): RequestHandler[] {
  return [
    (req, _res, next) => {
      const hasBody =
        req.headers["transfer-encoding"] !== undefined || Number(req.headers["content-length"] ?? 0) > 0;
      if (hasBody && !req.is(FORM_TYPES)) {
        const reason = "Send application/json or application/x-www-form-urlencoded.";
        throw new VaultError("UNSUPPORTED_MEDIA_TYPE", "not a body with credentials", { facts: { reason } });
      }
      next();
    },
    express.json({ limit: MAX_BODY_BYTES }),
    express.urlencoded({ extended: false, limit: MAX_BODY_BYTES }),
  ];
}

export function retrieve(deps: ApiDeps): RequestHandler<{ hash: string }> {
  return async (req, res) => {
    const caller = await callerOf(req, deps);
    const { hash } = req.params;
    const given = new RequestParameters(req);
    const password = onePassword([given.read("password"), ...headerPasswords(req)]);
    if (password === null) {
      res.setHeader("WWW-Authenticate", CHALLENGE);
      throw new VaultError("MISSING_PASSWORD", "no password for a link", { field: "password" });
    }
    const expiresInSeconds = given.read("expires_in");
    const maxUses = given.read("max_uses");
    const request = { hash, password, expiresInSeconds, maxUses, disposition: "attachment" } as const;
    const { token } = await deps.links.create(request, caller);
    res.json({ status: "success", download_link: `${deps.publicUrl()}/d/${token}` });
  };
}

/** Query and body, as one set of names: each at most once. */
class RequestParameters {
  constructor(private readonly req: Request<{ hash: string }>) {}

  /** Null where it is not given. */
  read<N extends ParameterName>(name: N): ParsedParameter<N> | null {
    const { query, body } = this.req;
    const values = [own(query, name), own(body, name)].filter(value => value !== undefined);
    if (values.length > 1) throw badRequest(`${name} is given more than once.`, name);
    const parsed = RETRIEVE_PARAMETERS.shape[name].safeParse(values[0]);
    if (!parsed.success) throw badRequest(`${name} must be given once, as a text.`, name);
    return (parsed.data as ParsedParameter<N> | undefined) ?? null;
  }
}

type ParameterName = keyof typeof RETRIEVE_PARAMETERS.shape;
type ParsedParameter<N extends ParameterName> = NonNullable<z.output<typeof RETRIEVE_PARAMETERS>[N]>;

function own(values: unknown, name: string): unknown {
  if (typeof values !== "object" || values === null || !Object.hasOwn(values, name)) return undefined;
  return (values as Record<string, unknown>)[name];
}

function headerPasswords(req: Request<{ hash: string }>): (string | null)[] {
  const header = req.get("File-Password");
  const basic = BASIC.exec(req.headers.authorization ?? "")?.[1];
  return [
    header === undefined ? null : decodeBase64(header, "File-Password"),
    basic === undefined ? null : decodeBase64(basic, "Authorization").replace(/^[^:]*:/, ""),
  ];
}

function decodeBase64(text: string, header: string): string {
  const decoded = BASE64.test(text) ? utf8Of(Buffer.from(text, "base64")) : null;
  if (decoded !== null) return decoded;
  throw badRequest(`${header} must be the base64 of UTF-8 text.`, "password");
}

/** The one password given, however often; empty ones are none. */
function onePassword(given: readonly (string | null)[]): string | null {
  const [password, ...others] = new Set(given.filter(Boolean));
  if (others.length > 0) throw badRequest("Different passwords are given in different places.", "password");
  return password ?? null;
}
