/** The scalars of the schema. Each refuses what it is not, so that resolvers need not look again. */
import type { ValueNode } from "graphql";
import { GraphQLError, GraphQLScalarType, valueFromASTUntyped } from "graphql";
import { GraphQLDateTime } from "graphql-scalars";
import { GraphQLUpload as MultipartUpload } from "graphql-upload-minimal";

export const DateTime = new GraphQLScalarType({
  ...GraphQLDateTime.toConfig(),
  description: "Instant in time, RFC 3339 with a time zone, e.g. `2026-11-23T09:30:00Z`.",
});

export const ByteSize = scalar<number>({
  name: "ByteSize",
  description:
    "A count of bytes: a whole number from 0 to 2^53-1 (8 PiB), sent as a JSON\nnumber. (`Int` stops at 2 GiB.)",
  parse: value => (Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : null),
  print: value => value,
});

export const Sha256 = scalar<string>({
  name: "Sha256",
  description: "A SHA-256 digest as 64 lower-case hexadecimal digits.",
  parse: value => (typeof value === "string" && /^[0-9a-f]{64}$/.test(value) ? value : null),
  print: value => value,
});

/** Seconds, inside. */
export const Duration = scalar<number>({
  name: "Duration",
  description: "A length of time, ISO 8601, e.g. `PT15M`, `P7D`.",
  parse: value => (typeof value === "string" ? secondsOf(value) : null),
  print: durationOf,
});

/** What the multipart request specification gives to an `Upload`. */
export const Upload = new GraphQLScalarType({
  ...MultipartUpload.toConfig(),
  description:
    "A file part of a GraphQL multipart request. Streams, so any size is safe for the server,\n" +
    "but it cannot resume: use `createUpload` (tus) over unreliable networks.",
});

interface ScalarSpec<T> {
  readonly name: string;
  readonly description: string;
  /** Null for what is no such value. */
  parse(value: unknown): T | null;
  print(value: T): string | number;
}

function scalar<T>({
  name,
  description,
  parse,
  print,
}: ScalarSpec<T>): GraphQLScalarType<T, string | number> {
  const parseOrThrow = (value: unknown) => {
    const parsed = parse(value);
    if (parsed === null) throw new GraphQLError(`Not a ${name}.`); // without the value: it is the caller's own
    return parsed;
  };
  return new GraphQLScalarType<T, string | number>({
    name,
    description,
    parseValue: parseOrThrow,
    parseLiteral: (node: ValueNode) => parseOrThrow(literal(node)),
    serialize: value => print(value as T),
  });
}

function literal(node: ValueNode): unknown {
  return node.kind === "IntValue" ? Number(node.value) : valueFromASTUntyped(node);
}

const DURATION =
  /^P(?!$)(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?!$)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?$/;
const UNIT_SECONDS = [604_800, 86_400, 3600, 60, 1];

/** Weeks to seconds. Years and months are refused: how long they are depends on when they begin. */
function secondsOf(text: string): number | null {
  const parts = DURATION.exec(text)?.slice(1);
  return parts ? parts.reduce((sum, part, i) => sum + Number(part ?? 0) * (UNIT_SECONDS[i] ?? 0), 0) : null;
}

/** In the largest unit that divides it: `P7D`, `PT15M`, `PT90S`. */
function durationOf(seconds: number): string {
  if (seconds > 0 && seconds % 86_400 === 0) return `P${seconds / 86_400}D`;
  if (seconds > 0 && seconds % 3600 === 0) return `PT${seconds / 3600}H`;
  return seconds > 0 && seconds % 60 === 0 ? `PT${seconds / 60}M` : `PT${seconds}S`;
}
