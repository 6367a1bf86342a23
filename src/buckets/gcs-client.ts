/**
 * One request to the JSON API of Google Cloud Storage: what every call has in common. Google's own client gives the
 * credentials and reads bucket metadata; bytes do not go through it, because its media path can end the process or
 * hang for ever on Node 24 (README.md). https://cloud.google.com/storage/docs/json_api/v1/status-codes
 */
import { types } from "node:util";
import { Storage } from "@google-cloud/storage";
import { z } from "zod";
import type { BucketFailure } from "../core/errors.js";
import { BucketError } from "../core/errors.js";
import { untilAborted } from "./abort.js";
import { SlowDownError } from "./slow-down.js";

const GOOGLE = "https://storage.googleapis.com";
/** Four times the largest chunk: a server that sends more than any object of ours is not believed. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;
/** 403s that pass by themselves, as 429 would. */
const RATE_REASONS = ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"];

const ErrorBody = z.object({
  error: z.object({
    message: z.string().optional(),
    errors: z.array(z.object({ reason: z.string() })).optional(),
  }),
});

export interface GcsCall {
  /** For messages: bucket, operation and key. */
  readonly what: string;
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Statuses beside 2xx that are an answer to this call. All others are a {@link BucketError}. */
  readonly answers?: readonly number[];
  readonly signal: AbortSignal | undefined;
}

export interface GcsReply {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

export class GcsClient {
  private constructor(
    private readonly endpoint: string,
    private readonly storage: Storage,
    /** Null: requests go out without credentials. */
    private readonly authorize: (() => Promise<Headers>) | null,
  ) {}

  /** Google itself, with Application Default Credentials (workload identity on GKE). */
  static google(): GcsClient {
    const storage = new Storage({ apiEndpoint: GOOGLE, retryOptions: { autoRetry: false } });
    return new GcsClient(GOOGLE, storage, () => storage.authClient.getRequestHeaders());
  }

  /** Something that speaks like Google (`GCS_ENDPOINT`). Gets no credentials, unless `authorize` gives it some. */
  static emulator(endpoint: string, authorize: (() => Promise<Headers>) | null = null): GcsClient {
    const origin = new URL(endpoint).origin;
    const storage = new Storage({
      apiEndpoint: origin,
      projectId: "emulator",
      retryOptions: { autoRetry: false },
    });
    return new GcsClient(origin, storage, authorize);
  }

  /** Where the bucket is, in lower case ("europe-west1"). Needs `storage.buckets.get`. */
  async location(bucket: string, signal: AbortSignal): Promise<string | null> {
    signal.throwIfAborted();
    try {
      // The client cannot be cancelled and its timeout never fires: it is left behind at our deadline.
      const [metadata] = await untilAborted(this.storage.bucket(bucket).getMetadata(), signal);
      return metadata.location?.toLowerCase() ?? null;
    } catch (error) {
      signal.throwIfAborted();
      const status = statusOf(error);
      const failure = status === undefined ? "unavailable" : failureOf(status, []);
      throw new BucketError(failure, `gs://${bucket}: metadata: ${describe(error)}`, { cause: error });
    }
  }

  /** Makes one attempt and reads the whole answer. */
  async request(call: GcsCall): Promise<GcsReply> {
    const { what, method, path, query = {}, body, answers = [], signal } = call;
    signal?.throwIfAborted();
    const headers = new Headers(await this.#credentials(what, signal));
    for (const [name, value] of Object.entries(call.headers ?? {})) headers.set(name, value);
    const url = `${this.endpoint}${path}?${new URLSearchParams(query)}`;
    const reply = await reach(what, signal, async () => {
      const response = await fetch(url, {
        method,
        headers,
        redirect: "manual", // to follow one would take credentials and bytes to another host
        body: body ?? null,
        signal: signal ?? null,
      });
      return { status: response.status, headers: response.headers, bytes: await readBody(response) };
    });
    if ((reply.status >= 200 && reply.status < 300) || answers.includes(reply.status)) return reply;
    throw refusal(what, reply);
  }

  async #credentials(what: string, signal: AbortSignal | undefined): Promise<Headers | undefined> {
    if (!this.authorize) return undefined;
    try {
      return await untilAborted(this.authorize(), signal);
    } catch (error) {
      signal?.throwIfAborted();
      const status = statusOf(error);
      // Without a status nobody answered: no metadata server now, or no credentials at all, which looks the same.
      const failure = status !== undefined && status < 500 && status !== 429 ? "denied" : "unavailable";
      throw new BucketError(failure, `${what}: no credentials: ${describe(error)}`, { cause: error });
    }
  }
}

/** Runs network code: what it throws is a fault of the way there, unless the caller has given up. */
async function reach<T>(what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    throw new BucketError("unavailable", `${what}: ${describe(error)}`, { cause: error });
  }
}

/** Into a buffer of its own. Ending the loop early closes the connection. */
async function readBody(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.byteLength;
    if (length > MAX_BODY_BYTES) throw new Error(`more than ${MAX_BODY_BYTES} bytes`);
    parts.push(part);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}

function refusal(what: string, { status, headers, bytes }: GcsReply): BucketError {
  const parsed = ErrorBody.safeParse(parseJson(bytes));
  const error = parsed.success ? parsed.data.error : {};
  const reasons = error.errors?.map(({ reason }) => reason) ?? [];
  const message = `${what}: ${[status, ...reasons].join(" ")}${error.message ? ` (${error.message})` : ""}`;
  const failure = failureOf(status, reasons);
  const retryAfterSeconds = Number(headers.get("retry-after") ?? Number.NaN);
  return failure === "unavailable" && retryAfterSeconds >= 0
    ? new SlowDownError(message, retryAfterSeconds * 1000)
    : new BucketError(failure, message);
}

/** What a status means when it is not an answer. Anything not named needs an operator: 3xx, 400, 404 (the bucket). */
function failureOf(status: number, reasons: readonly string[]): BucketFailure {
  if (status === 507) return "full";
  if (status >= 500 || status === 408 || status === 429) return "unavailable";
  if (status === 403 && reasons.some(reason => RATE_REASONS.includes(reason))) return "unavailable";
  return "denied";
}

export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/** The HTTP status in an error of Google's libraries (`code` in one, `status` in another). */
function statusOf(error: unknown): number | undefined {
  const shaped = z.object({ code: z.number().optional(), status: z.number().optional() }).safeParse(error);
  return shaped.success ? (shaped.data.status ?? shaped.data.code) : undefined;
}

/** fetch says "fetch failed" and keeps the reason in `cause`. */
function describe(error: unknown): string {
  if (!types.isNativeError(error)) return String(error);
  return types.isNativeError(error.cause) ? `${error.message}: ${error.cause.message}` : error.message;
}
