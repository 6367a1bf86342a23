/**
 * The environment, read once. {@link readConfig} gives one frozen, typed value or *every* problem at once. Each variable
 * is described here and nowhere else: the table in docs/operations.md is printed from these descriptions.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { BucketSpecError, parseBucketUrls } from "./buckets/spec.js";
import { isSafeUrl } from "./identity/provider-keys.js";

const KIB = 1024;
const MIB = 1024 * KIB;
const TIB = 1024 * 1024 * MIB;
const UNITS: Readonly<Record<string, number>> = { "": 1, KiB: KIB, MiB: MIB, GiB: 1024 * MIB, TiB: TIB };

/** Folders under DATA_DIR where BUCKETS is not set. */
export const DEFAULT_BUCKET_COUNT = 6;

/** `1048576`, `1MiB`, `256 MiB`. */
function bytes(min: number, max: number) {
  return z.string().transform((text, context) => {
    const [, digits, unit] = /^(\d+) ?([KMGT]iB)?$/.exec(text) ?? [];
    const value = Number(digits) * (UNITS[unit ?? ""] ?? Number.NaN);
    if (value >= min && value <= max) return value;
    context.addIssue(`must be a number of bytes from ${min} to ${max}, plain or with KiB, MiB, GiB, TiB`);
    return z.NEVER;
  });
}

function whole(min: number, max: number) {
  return z.string().transform((text, context) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    context.addIssue(`must be a whole number from ${min} to ${max}`);
    return z.NEVER;
  });
}

function httpUrl() {
  return z
    .url({ protocol: /^https?$/, error: "must be an http:// or https:// address" })
    .transform(text => text.replace(/\/+$/, ""));
}

const list = z.string().transform(text =>
  text
    .split(",")
    .map(item => item.trim())
    .filter(Boolean),
);
const VARIABLES = z.object({
  HOST: z.string().default("127.0.0.1").describe("Address to listen on; `0.0.0.0` for all."),
  PORT: whole(0, 65535).prefault("8080").describe("Port to listen on; 0: any free one."),
  PUBLIC_URL: httpUrl()
    .optional()
    .describe(
      "How clients reach this server; the beginning of every download link. Default: the address it listens on.",
    ),
  DATA_DIR: z
    .string()
    .default("./data")
    .describe("Where the embedded database, the folder buckets and the admin token live."),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "must begin with postgres://")
    .optional()
    .describe("PostgreSQL 15 or later. Default: an embedded one under DATA_DIR. Secret."),
  DATABASE_POOL_SIZE: whole(2, 200).prefault("10").describe("Connections of one replica to the database."),
  BUCKETS: z
    .string()
    .transform((text, context) => {
      try {
        return parseBucketUrls(text);
      } catch (error) {
        if (!(error instanceof BucketSpecError)) throw error;
        for (const problem of error.problems) context.addIssue(problem);
        return z.NEVER;
      }
    })
    .optional()
    .describe(
      "Comma-separated `gs://name` or `file:///path`, each with optional `?region=…&domain=…`; a domain is what fails together (a disk, a zone). Default: six folders under DATA_DIR.",
    ),
  GCS_ENDPOINT: httpUrl()
    .optional()
    .describe("A Google Cloud Storage emulator, for tests; no credentials are sent to it."),
  CHUNK_SIZE: bytes(KIB, 64 * MIB)
    .prefault("1MiB")
    .describe("Stored bytes of a chunk where the uploader does not say, 1 KiB to 64 MiB."),
  PARITY: z
    .string()
    .transform((text, context) => {
      if (text === "none") return text;
      const [, dataChunks, parityChunks] = /^(\d{1,2})\+(\d{1,2})$/.exec(text)?.map(Number) ?? [];
      if (dataChunks && parityChunks) return { dataChunks, parityChunks };
      context.addIssue("must be `none` or like `4+2`: data and parity chunks of a stripe, each 1 to 99");
      return z.NEVER;
    })
    .optional()
    .describe(
      "Redundancy of new files: `none`, or data + parity chunks of a stripe, as `4+2`. Default, by the number of buckets: 1 none, 2 1+1, 3 1+2, 4 2+2, 5 3+2, 6 or more 4+2.",
    ),
  MIN_PASSWORD_LENGTH: whole(1, 128).prefault("8").describe("Fewest characters of a password."),
  MAX_UPLOAD_SIZE: bytes(1, 2 ** 53 - 1)
    .prefault("1TiB")
    .describe("Largest file."),
  MAX_EXPIRES_IN_SECONDS: whole(1, 3_153_600_000)
    .prefault("315360000")
    .describe("Longest life an uploader may give a file."),
  MEMORY_BUDGET: bytes(16 * MIB, TIB)
    .prefault("256MiB")
    .describe("Memory for bytes on their way, over all uploads and downloads of the process."),
  SEAL_THREADS: whole(1, 64).prefault("2").describe("Threads that encrypt and decrypt."),
  UPLOAD_TTL_HOURS: whole(1, 8760)
    .prefault("24")
    .describe("An upload that gets no bytes for this long expires."),
  LINK_TTL_SECONDS: whole(1, 604_800)
    .prefault("3600")
    .describe("Life of a download link where the caller does not say."),
  UPLOADS: z
    .enum(["open", "authenticated"], "must be `open` or `authenticated`")
    .default("open")
    .describe("Who may upload."),
  ADMIN_TOKEN: z
    .string()
    .min(16, "must have at least 16 characters")
    .optional()
    .describe(
      "Bearer token of administrators. Secret. Default: made once and kept in DATA_DIR with the embedded database, else nobody is one.",
    ),
  OIDC_ISSUER: z
    .string()
    .refine(isSafeUrl, "must be an https:// address (http:// only on this machine)")
    .optional()
    .describe(
      "OpenID provider whose tokens are accepted beside ADMIN_TOKEN, written as in their claim `iss`. Default: none.",
    ),
  OIDC_AUDIENCE: z
    .string()
    .optional()
    .describe("What the claim `aud` of a token must contain; needed with OIDC_ISSUER."),
  OIDC_ROLES_CLAIM: z
    .string()
    .default("roles")
    .describe(
      "Claim with the roles `uploader` and `admin`; dots lead into nested claims: `realm_access.roles`.",
    ),
  PEPPER: z
    .base64("must be base64")
    .transform(text => Buffer.from(text, "base64"))
    .refine(pepper => pepper.length >= 16, "must be at least 16 bytes in base64")
    .optional()
    .describe(
      "Secret mixed into every password hash, at least 16 bytes in base64; losing it loses every file. Secret.",
    ),
  MAP_KEY: z
    .base64("must be base64")
    .transform(text => Buffer.from(text, "base64"))
    .refine(key => key.length === 32, "must be 32 bytes in base64")
    .optional()
    .describe(
      "Opens the recovery manifests to the operator: with it `scattervault recover --all` makes the database anew. 32 bytes in base64; keep a copy elsewhere. Secret. Default: made once and kept in DATA_DIR with the embedded database, else none.",
    ),
  ARGON2_MEMORY_KIB: whole(8192, 1_048_576).prefault("65536").describe("Argon2id memory of new passwords."),
  ARGON2_PASSES: whole(1, 16).prefault("3").describe("Argon2id passes of new passwords."),
  ARGON2_LANES: whole(1, 16).prefault("4").describe("Argon2id lanes of new passwords."),
  ARGON2_CONCURRENCY: whole(1, 64)
    .prefault("1")
    .describe("Password checks that may run at once; each holds its Argon2id memory."),
  CORS_ORIGINS: list.prefault("").describe("Comma-separated origins whose pages may call this server."),
  GRAPHQL_INTROSPECTION: z
    .enum(["on", "off"], "must be `on` or `off`")
    .default("on")
    .describe("Whether GraphQL tells its schema to whoever asks."),
  RATE_LIMIT: z
    .enum(["on", "off"], "must be `on` or `off`")
    .default("on")
    .describe("Limits of wrong passwords and of uploads begun. Off only for tests."),
  IDLE_TIMEOUT_SECONDS: whole(1, 3600)
    .prefault("30")
    .describe("A sender is cut off after this long without a byte."),
  LOG_LEVEL: z
    .enum(["fatal", "error", "warn", "info", "debug", "silent"])
    .default("info")
    .describe("Least severe log lines written."),
  METRICS_PORT: whole(1, 65535)
    .optional()
    .describe("Port of `/metrics` without authentication. Default: on PORT, for administrators."),
  TRUST_PROXY: whole(0, 16)
    .prefault("0")
    .describe("How many proxies in front of this server append to X-Forwarded-For."),
  DRAIN_SECONDS: whole(0, 3600)
    .prefault("30")
    .describe("How long requests under way may go on after SIGTERM."),
  SCRUB_BYTES_PER_SECOND: bytes(64 * KIB, TIB)
    .prefault("16MiB")
    .describe("How fast one replica reads everything again, to find what is missing or corrupt, at most."),
  MOVE_BYTES_PER_SECOND: bytes(64 * KIB, TIB)
    .prefault("64MiB")
    .describe("How fast one replica moves chunks out of draining buckets at most."),
  SWEEP_GRACE_SECONDS: whole(0, 604_800)
    .prefault("3600")
    .describe("Age of an unfinished object before it can be swept; longer than any put may take."),
});

/** Variables that may be given as `NAME_FILE` too, and never appear in a problem's text. */
const SECRETS = ["DATABASE_URL", "ADMIN_TOKEN", "PEPPER", "MAP_KEY"] as const;

export type Config = Readonly<z.output<typeof VARIABLES>>;

/** Everything that is wrong with the environment, one sentence a variable. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

/** Throws {@link ConfigError} with all problems. Empty variables count as unset. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ""),
  );
  for (const name of SECRETS) {
    const file = given[`${name}_FILE`];
    if (file === undefined) continue;
    if (given[name] !== undefined) problems.push(`${name} and ${name}_FILE are both set: unset one`);
    try {
      given[name] = readFileSync(file, "utf8").trim();
    } catch {
      problems.push(`${name}_FILE: ${file} cannot be read`);
    }
  }
  if ((given["OIDC_ISSUER"] === undefined) !== (given["OIDC_AUDIENCE"] === undefined)) {
    problems.push("OIDC_ISSUER and OIDC_AUDIENCE: set both or neither");
  }
  const parsed = VARIABLES.safeParse(given);
  if (parsed.success) problems.push(...contradictions(parsed.data));
  else problems.push(...parsed.error.issues.map(issue => `${issue.path.join(".")}: ${issue.message}`));
  if (problems.length > 0 || !parsed.data) throw new ConfigError(problems);
  return Object.freeze(parsed.data);
}

/** What is right on its own and wrong together. */
function contradictions({ PARITY, BUCKETS }: z.output<typeof VARIABLES>): string[] {
  if (PARITY === undefined || PARITY === "none") return [];
  const width = PARITY.dataChunks + PARITY.parityChunks;
  const bucketCount = BUCKETS?.length ?? DEFAULT_BUCKET_COUNT;
  if (width <= bucketCount) return [];
  return [`PARITY: a stripe of ${width} chunks needs as many buckets, there are ${bucketCount}`];
}

/** One row a variable, for the documentation. */
export function describeVariables(): { name: string; description: string; default: string }[] {
  return Object.entries(VARIABLES.shape).flatMap(([name, schema]) => {
    const description = schema.description;
    if (description === undefined) return [];
    const { defaultValue } = schema.def as { defaultValue?: unknown };
    return [{ name, description, default: defaultValue === undefined ? "" : String(defaultValue) }];
  });
}
