/**
 * The catalogue of api/errors.ts in GraphQL's two places: mistakes a user can put right are data (`userErrors`),
 * everything else is a top-level error with `extensions.code`.
 */
import { GraphQLError } from "graphql";
import { Field, Int, ObjectType, registerEnumType } from "type-graphql";
import type { Code } from "../../core/errors.js";
import { VaultError } from "../../core/errors.js";
import type { Answer } from "../errors.js";
import { answerOf } from "../errors.js";

/** Those of {@link Code} that a user can put right, and those that later issues will give. */
export enum UserErrorCode {
  NOT_FOUND = "NOT_FOUND",
  MISSING_PASSWORD = "MISSING_PASSWORD",
  WRONG_PASSWORD = "WRONG_PASSWORD",
  TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS",
  PASSWORD_TOO_SHORT = "PASSWORD_TOO_SHORT",
  PASSWORD_TOO_LONG = "PASSWORD_TOO_LONG",
  PASSWORD_TOO_COMMON = "PASSWORD_TOO_COMMON",
  FILE_TOO_LARGE = "FILE_TOO_LARGE",
  CHUNK_SIZE_OUT_OF_RANGE = "CHUNK_SIZE_OUT_OF_RANGE",
  EXPIRY_OUT_OF_RANGE = "EXPIRY_OUT_OF_RANGE",
  MAX_DOWNLOADS_OUT_OF_RANGE = "MAX_DOWNLOADS_OUT_OF_RANGE",
  CHECKSUM_MISMATCH = "CHECKSUM_MISMATCH",
  UPLOAD_EXPIRED = "UPLOAD_EXPIRED",
  UPLOAD_ALREADY_FINISHED = "UPLOAD_ALREADY_FINISHED",
  FILE_GONE = "FILE_GONE",
  FILE_RETAINED = "FILE_RETAINED",
  FILE_UNAVAILABLE = "FILE_UNAVAILABLE",
  STORAGE_FULL = "STORAGE_FULL",
  BUCKET_IN_USE = "BUCKET_IN_USE",
  LINK_ALREADY_REVOKED = "LINK_ALREADY_REVOKED",
}

registerEnumType(UserErrorCode, {
  name: "UserErrorCode",
  valuesConfig: {
    TOO_MANY_ATTEMPTS: {
      description: "Too many wrong passwords for this file; try again after `retryAfterSeconds`.",
    },
  },
});

@ObjectType("UserError", {
  description:
    "A mistake that the user can put right. Everything else (not signed in, rate\n" +
    "limit, fault of the server) comes in the top-level `errors` with an\n" +
    "`extensions.code`: UNAUTHENTICATED, FORBIDDEN, RATE_LIMITED (with\n" +
    "`extensions.retryAfterSeconds`), BAD_USER_INPUT, QUERY_TOO_COMPLEX,\n" +
    "INTERNAL_SERVER_ERROR (with `extensions.requestId`).",
})
export class UserErrorType {
  @Field(() => UserErrorCode) code!: UserErrorCode;

  @Field(() => String, {
    description: "For people, in English; show your own text by `code` where you translate.",
  })
  message!: string;

  @Field(() => [String], {
    nullable: true,
    description: 'Path into the input, e.g. `["input", "password"]`; null: the whole request.',
  })
  field!: string[] | null;

  @Field(() => Int, {
    nullable: true,
    description: "Seconds to wait; only with TOO_MANY_ATTEMPTS and STORAGE_FULL.",
  })
  retryAfterSeconds!: number | null;
}

/** Which input a mistake is about, by its REST name, where core does not know what this mutation was given. */
type FieldsOfCodes = Partial<Record<`${UserErrorCode}`, string>>;

/** The payload that `work` makes, or the mistake that kept it from being made. */
export async function orUserErrors<T extends object>(
  work: () => Promise<T>,
  fields: FieldsOfCodes = {},
): Promise<(T | object) & { userErrors: UserErrorType[] }> {
  try {
    return { ...(await work()), userErrors: [] };
  } catch (error) {
    const mistake = userErrorOf(error, fields);
    if (!mistake) throw error;
    return { userErrors: [mistake] };
  }
}

/** The error as data; null for what no user can put right. */
export function userErrorOf(error: unknown, fields: FieldsOfCodes = {}): UserErrorType | null {
  const code = error instanceof VaultError ? userErrorCode(error.code) : null;
  if (code === null) return null;
  const { message, field = fields[code], retryAfterSeconds } = answerOf(error, () => false);
  const path = field === undefined ? null : ["input", camelCase(field)];
  return { code, message, field: path, retryAfterSeconds: retryAfterSeconds ?? null };
}

/** A top-level error; only what is ours to mend tells nothing but the request's id. */
export function topLevelError({ code, message, retryAfterSeconds }: Answer, requestId: string): GraphQLError {
  const extensions = { code: GRAPHQL_CODES[code] ?? code, requestId };
  return new GraphQLError(message, {
    extensions: retryAfterSeconds === undefined ? extensions : { ...extensions, retryAfterSeconds },
  });
}

/** Where GraphQL has a customary name. */
export const GRAPHQL_CODES: Partial<Record<Code, string>> = {
  BAD_REQUEST: "BAD_USER_INPUT",
  INTERNAL: "INTERNAL_SERVER_ERROR",
};

function userErrorCode(code: Code): UserErrorCode | null {
  return Object.values(UserErrorCode).find(known => known === code) ?? null;
}

/** Core names inputs as REST does. */
function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
