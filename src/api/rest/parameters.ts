/**
 * What a request to the REST door may say beside the file: parsed by these schemas, and told by them in /openapi.json.
 * The bounds told here are core's, which holds them for every door.
 */
import { z } from "zod";
import type {} from "zod-openapi"; // what `meta` may hold
import { MAX_LINK_SECONDS } from "../../core/links.js";
import { MAX_DOWNLOADS } from "../../core/terms.js";
import type { ApiSettings } from "../deps.js";
import { wholeNumber } from "../whole-number.js";

export type ParameterBounds = Pick<
  ApiSettings,
  "minChunkBytes" | "maxChunkBytes" | "defaultChunkBytes" | "minPasswordLength" | "maxExpiresInSeconds"
>;

const WEEK_SECONDS = 604_800;

interface Told {
  readonly min: number;
  readonly max: number;
  /** What a page that tries the address out begins with. */
  readonly example: number;
  readonly description: string;
}

/** A form or a query has texts, JSON may have numbers: both are taken, as one text. */
const TEXT = z.union([z.string(), z.number()]).transform(String);

/** What is no whole number becomes NaN, which no bound in core accepts: the error is the one of the bound. */
function whole({ min, max, example, description }: Told) {
  const override = toldAs({ type: "integer", format: "int64", minimum: min, maximum: max, example });
  return TEXT.transform(wholeNumber).optional().meta({ description, override });
}

/** An empty one is what a browser sends for none. */
const PASSWORD = TEXT.transform(text => text || null);
const TOLD_AS_PASSWORD = toldAs({ type: "string", format: "password" });

/** In place of "a text or a number", which is what is read. */
function toldAs(schema: object) {
  return ({ jsonSchema }: { jsonSchema: { anyOf?: unknown } }) => {
    delete jsonSchema.anyOf;
    Object.assign(jsonSchema, schema);
  };
}

/** The fields of `POST /api/upload` that are not the file. Each may come once; only the password must. */
export function uploadFields(bounds: ParameterBounds) {
  return z.object({
    password: PASSWORD.meta({
      description: `At least ${bounds.minPasswordLength} characters. Encrypts the file; never stored, and nobody can find it again.`,
      override: TOLD_AS_PASSWORD,
    }),
    chunk_size: whole({
      min: bounds.minChunkBytes,
      max: bounds.maxChunkBytes,
      example: bounds.defaultChunkBytes,
      description: `Stored bytes of a chunk. Default ${bounds.defaultChunkBytes}.`,
    }),
    expires_in: whole({
      min: 1,
      max: bounds.maxExpiresInSeconds,
      example: Math.min(WEEK_SECONDS, bounds.maxExpiresInSeconds),
      description: "Seconds after which the file is deleted. Default: it is kept.",
    }),
    max_downloads: whole({
      min: 1,
      max: MAX_DOWNLOADS,
      example: 100,
      description: "Downloads after which the file is deleted. Default: no limit.",
    }),
  });
}

/** The parameters of `/api/retrieve/<hash>`, in the query or in the body: each once. */
export const RETRIEVE_PARAMETERS = z.object({
  password: PASSWORD.optional().meta({
    description:
      "The file's password. Better in the header `File-Password`, as HTTP Basic or in a body, which proxies do not log.",
    override: TOLD_AS_PASSWORD,
  }),
  expires_in: whole({
    min: 1,
    max: MAX_LINK_SECONDS,
    example: 3600,
    description: "Life of the link in seconds. Default: the server's LINK_TTL_SECONDS.",
  }),
  max_uses: whole({
    min: 1,
    max: MAX_DOWNLOADS,
    example: 10,
    description: "How often the link may be used. Default: no limit within its life.",
  }),
});
