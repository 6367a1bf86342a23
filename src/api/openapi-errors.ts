/** The errors of an address as OpenAPI tells them: from the one catalogue, one response a status. */
import { z } from "zod";
import type { ZodOpenApiResponsesObject } from "zod-openapi";
import type { Code } from "../core/errors.js";
import { ANSWERS, RETRY_AFTER_SECONDS } from "./errors.js";

/** Everywhere: what is ours to mend. */
const ALWAYS: readonly Code[] = ["INTERNAL"];

/** Wherever a bearer token is looked at. */
export const TOKEN_CODES: readonly Code[] = ["UNAUTHENTICATED", "IDENTITY_UNAVAILABLE"];
/** Wherever the database or a bucket is needed. */
export const STORAGE_CODES: readonly Code[] = ["BUSY", "STORAGE_UNAVAILABLE"];

type Status = keyof ZodOpenApiResponsesObject & `${1 | 2 | 3 | 4 | 5}${string}`;

/** Responses for `codes`; `challenged` are those that come as 401 with a challenge, whatever the catalogue says. */
export function errorResponses(
  codes: readonly Code[],
  challenged: readonly Code[] = [],
): ZodOpenApiResponsesObject {
  const byStatus = Map.groupBy([...codes, ...challenged, ...ALWAYS], code =>
    challenged.includes(code) ? 401 : ANSWERS[code].status,
  );
  return Object.fromEntries(
    [...byStatus].map(([status, its]) => [String(status) as Status, errorResponse(its)]),
  );
}

function errorResponse(codes: readonly Code[]) {
  return {
    description: codes
      .map(code => `- \`${code}\`: ${ANSWERS[code].sentence.replace(" {reason}", "")}`)
      .join("\n"),
    content: { "application/json": { schema: errorBody(codes) } },
    ...(codes.some(code => RETRY_AFTER_SECONDS[code] !== undefined) && { headers: RETRY_AFTER }),
  };
}

const RETRY_AFTER = z.object({
  "Retry-After": z.int().optional().meta({ description: "Seconds after which trying again makes sense." }),
});

function errorBody(codes: readonly Code[]) {
  return z.object({
    status: z.literal("error"),
    code: z.enum(codes as [Code, ...Code[]]),
    message: z
      .string()
      .meta({ description: "The sentence of the code, with its limits filled in; for people." }),
    field: z.string().optional().meta({ description: "The input that was wrong." }),
    retry_after: z.int().optional().meta({ description: "Seconds, as in Retry-After." }),
    request_id: z.string().meta({ description: "Also in X-Request-Id and in the server's log." }),
  });
}
