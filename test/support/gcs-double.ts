/**
 * A stand-in for Google Cloud Storage's JSON API over real HTTP, with faults. It is right where emulators are known
 * to be wrong (preconditions, checksums sent up front, real pages, partial responses), and Google's own client works
 * against it (gcs-double.test.ts): that is what makes it worth testing an adapter with.
 *
 *     const double = await GcsDouble.start({ buckets: ["b"] });
 *     double.plan("insert", { kind: "reset", isDone: true }, { times: 1 });    // stored, and the answer lost
 */
import { createHash } from "node:crypto";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { crc32c } from "@node-rs/crc32";

type CallKind = "insert" | "media" | "metadata" | "delete" | "list" | "bucket";

/** What goes wrong. `isDone`: after the call has had its effect. */
export type Fault =
  | { kind: "status"; status: number; reason?: string; headers?: Record<string, string>; isDone?: boolean }
  | { kind: "reset"; isDone?: boolean }
  | { kind: "stall-headers" }
  | { kind: "stall-body"; afterBytes: number }
  | { kind: "cut-body"; afterBytes: number }
  | { kind: "flip-byte"; index: number }
  | { kind: "wrong-crc" };

interface Planned {
  readonly call: CallKind | "any";
  readonly fault: Fault;
  skip: number;
  times: number;
}

interface Stored {
  readonly bytes: Buffer;
  readonly generation: string;
}

interface Call {
  readonly kind: CallKind;
  readonly method: string;
  readonly bucket: string;
  readonly object: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

interface Reply {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
}

interface Session {
  readonly call: Call;
  received: Buffer;
}

export interface GcsDoubleOptions {
  readonly buckets: readonly string[];
  /** Entries of a page at most, whatever is asked; Google's number is 1000. */
  readonly pageEntries?: number;
  /** If given, a request without `Authorization: Bearer <token>` is answered 401. */
  readonly token?: string;
}

export class GcsDouble {
  readonly requests: { kind: CallKind; method: string; url: string; headers: IncomingMessage["headers"] }[] =
    [];
  readonly #server: Server;
  readonly #buckets: Map<string, Map<string, Stored>>;
  readonly #sessions = new Map<string, Session>();
  readonly #planned: Planned[] = [];
  #underWay = 0;
  #generation = 1_700_000_000_000_000;

  private constructor(private readonly options: GcsDoubleOptions) {
    this.#buckets = new Map(options.buckets.map(name => [name, new Map()]));
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(error => response.destroy(error));
    });
  }

  static async start(options: GcsDoubleOptions): Promise<GcsDouble> {
    const double = new GcsDouble(options);
    await new Promise<void>(resolve => double.#server.listen(0, "127.0.0.1", resolve));
    return double;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next calls of this kind (after `skip` good ones) meet the fault. Faults are met in the order of planning. */
  plan(call: CallKind | "any", fault: Fault, { skip = 0, times = Infinity } = {}): void {
    this.#planned.push({ call, fault, skip, times });
  }

  stored(bucket: string, object: string): Buffer | undefined {
    return this.#buckets.get(bucket)?.get(object)?.bytes;
  }

  removeBucket(bucket: string): void {
    this.#buckets.delete(bucket);
  }

  /** Requests whose answer is not complete and whose connection is open. */
  get underWay(): number {
    return this.#underWay;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise(resolve => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#underWay++;
    response.once("close", () => this.#underWay--);
    const body = await buffer(request);
    const call = parseCall(request, body);
    this.requests.push({
      kind: call.kind,
      method: call.method,
      url: request.url ?? "",
      headers: request.headers,
    });
    const fault = this.#fault(call.kind);
    if (fault?.kind === "stall-headers") return;
    if (isRefusal(fault) && !fault.isDone) return misbehave(request, response, call, fault);
    const reply = await this.#answer(call);
    if (isRefusal(fault)) return misbehave(request, response, call, fault);
    send(response, fault?.kind === "wrong-crc" ? withWrongCrc(reply) : reply, fault);
  }

  #fault(kind: CallKind): Fault | undefined {
    for (const planned of this.#planned) {
      if ((planned.call !== kind && planned.call !== "any") || planned.times <= 0) continue;
      if (planned.skip > 0) {
        planned.skip--;
        continue;
      }
      planned.times--;
      return planned.fault;
    }
    return undefined;
  }

  async #answer(call: Call): Promise<Reply> {
    const { token } = this.options;
    if (token !== undefined && call.headers.authorization !== `Bearer ${token}`) {
      return refusal(call, 401, "authError", "Invalid Credentials");
    }
    const objects = this.#buckets.get(call.bucket);
    if (!objects) return refusal(call, 404, "notFound", "The specified bucket does not exist.");
    switch (call.kind) {
      case "bucket":
        return json(call, { kind: "storage#bucket", name: call.bucket, location: "EUROPE-WEST1" });
      case "list":
        return this.#list(call, objects);
      case "insert":
        return this.#insert(call, objects);
      default:
        return this.#one(call, objects);
    }
  }

  #one(call: Call, objects: Map<string, Stored>): Reply {
    const stored = objects.get(call.object);
    if (!stored) return refusal(call, 404, "notFound", `No such object: ${call.bucket}/${call.object}`);
    if (!meets(call, stored)) return refusal(call, 412, "conditionNotMet", "Precondition failed");
    if (call.kind === "delete") {
      objects.delete(call.object);
      return { status: 204 };
    }
    return call.kind === "media" ? media(call, stored) : json(call, resource(call, stored));
  }

  #list(call: Call, objects: Map<string, Stored>): Reply {
    const { query } = call;
    const after = Buffer.from(query.get("pageToken") ?? "", "base64").toString();
    const prefix = query.get("prefix") ?? "";
    const start = query.get("startOffset") ?? "";
    const wanted = [...objects.keys()]
      .filter(name => name > after && name >= start && name.startsWith(prefix))
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const count = Math.min(Number(query.get("maxResults") ?? 1000), this.options.pageEntries ?? 1000);
    const names = wanted.slice(0, count);
    const items = names.map(name => resource({ ...call, object: name }, objects.get(name)));
    const nextPageToken =
      wanted.length > count ? Buffer.from(names.at(-1) ?? "").toString("base64") : undefined;
    return json(call, {
      kind: "storage#objects",
      ...(items.length > 0 && { items }),
      ...(nextPageToken && { nextPageToken }),
    });
  }

  #insert(call: Call, objects: Map<string, Stored>): Reply {
    switch (call.query.get("uploadType")) {
      case "media":
        return this.#create(call, objects, call.object, call.body, headerCrc(call.headers["x-goog-hash"]));
      case "multipart": {
        const [meta, bytes] = multipart(call);
        return this.#create(call, objects, call.object || String(meta["name"]), bytes, meta["crc32c"]);
      }
      default:
        return call.method === "POST" ? this.#beginSession(call) : this.#continueSession(call, objects);
    }
  }

  #beginSession(call: Call): Reply {
    const id = String(this.#generation++);
    this.#sessions.set(id, { call, received: Buffer.alloc(0) });
    const location = `${this.endpoint}/upload/storage/v1/b/${call.bucket}/o?uploadType=resumable&upload_id=${id}`;
    return { status: 200, headers: { location } };
  }

  #continueSession(call: Call, objects: Map<string, Stored>): Reply {
    const session = this.#sessions.get(call.query.get("upload_id") ?? "");
    const range = /^bytes (?:(\d+)-(\d+|\*)|\*)\/(\d+|\*)$/.exec(call.headers["content-range"] ?? "");
    if (!session || !range) return refusal(call, 400, "invalid", "No such upload, or no Content-Range");
    const [, first, last, total] = range;
    if (first !== undefined) {
      session.received = Buffer.concat([session.received.subarray(0, Number(first)), call.body]);
    }
    const isWhole = last === "*" || (total !== "*" && session.received.length === Number(total));
    if (isWhole) return this.#create(session.call, objects, session.call.object, session.received, undefined);
    const end = session.received.length - 1;
    return { status: 308, headers: end >= 0 ? { range: `bytes=0-${end}` } : {} };
  }

  #create(call: Call, objects: Map<string, Stored>, name: string, bytes: Buffer, crc: unknown): Reply {
    if (crc !== undefined && crc !== crcOf(bytes)) {
      return refusal(
        call,
        400,
        "invalid",
        `Provided CRC32C "${crc}" doesn't match calculated CRC32C "${crcOf(bytes)}".`,
      );
    }
    if (!meets(call, objects.get(name))) return refusal(call, 412, "conditionNotMet", "Precondition failed");
    const stored = this.#next(Buffer.from(bytes));
    objects.set(name, stored);
    return json(call, resource({ ...call, object: name }, stored));
  }

  #next(bytes: Buffer): Stored {
    return { bytes, generation: String(this.#generation++) };
  }
}

function parseCall(request: IncomingMessage, body: Buffer): Call {
  const { method = "GET", headers } = request;
  const { pathname, searchParams: query } = new URL(request.url ?? "/", "http://double");
  const [, upload, bucket = "", isObjects, name = ""] =
    /^(\/upload)?\/storage\/v1\/b\/([^/]+)(\/o)?(?:\/(.+))?$/.exec(pathname) ?? [];
  const object = decodeURIComponent(name) || (query.get("name") ?? "");
  const kind = (): CallKind => {
    if (upload) return "insert";
    if (!isObjects) return "bucket";
    if (!name) return "list";
    if (method === "DELETE") return "delete";
    return query.get("alt") === "media" ? "media" : "metadata";
  };
  return { kind: kind(), method, bucket: decodeURIComponent(bucket), object, query, headers, body };
}

function meets(call: Call, stored: Stored | undefined): boolean {
  const wanted = call.query.get("ifGenerationMatch");
  return wanted === null || wanted === (stored?.generation ?? "0");
}

function resource(call: Call, stored: Stored | undefined): Record<string, string> {
  const bytes = stored?.bytes ?? Buffer.alloc(0);
  return {
    kind: "storage#object",
    name: call.object,
    bucket: call.bucket,
    generation: stored?.generation ?? "",
    metageneration: "1",
    size: String(bytes.length),
    crc32c: crcOf(bytes),
    md5Hash: md5Of(bytes),
  };
}

function media(call: Call, { bytes, generation }: Stored): Reply {
  const common = {
    "content-type": "application/octet-stream",
    "x-goog-generation": generation,
    "x-goog-metageneration": "1",
    "x-goog-hash": `crc32c=${crcOf(bytes)},md5=${md5Of(bytes)}`,
    "x-goog-stored-content-encoding": "identity",
  };
  const range = /^bytes=(\d*)-(\d*)$/.exec(call.headers.range ?? "");
  if (!range) return { status: 200, headers: common, body: bytes };
  const [, from = "", to = ""] = range;
  const first = from === "" ? Math.max(0, bytes.length - Number(to)) : Number(from);
  const last = from === "" || to === "" ? bytes.length - 1 : Math.min(Number(to), bytes.length - 1);
  if (first >= bytes.length)
    return refusal(call, 416, "requestedRangeNotSatisfiable", "Range not satisfiable");
  const headers = { ...common, "content-range": `bytes ${first}-${last}/${bytes.length}` };
  return { status: 206, headers, body: bytes.subarray(first, last + 1) };
}

/** Honours `fields`, so that a field that was not asked for is not there. */
function json(call: Call, value: Record<string, unknown>): Reply {
  const fields = call.query.get("fields")?.match(/[A-Za-z0-9]+(?:\([^)]*\))?/g);
  const kept = fields ? fields.flatMap(field => keep(value, field)) : Object.entries(value);
  return { status: 200, headers: JSON_TYPE, body: Buffer.from(JSON.stringify(Object.fromEntries(kept))) };
}

function keep(value: Record<string, unknown>, field: string): [string, unknown][] {
  const [, name = "", inner] = /^([A-Za-z0-9]+)(?:\((.*)\))?$/.exec(field) ?? [];
  const kept = value[name];
  if (kept === undefined) return [];
  if (inner === undefined || !Array.isArray(kept)) return [[name, kept]];
  return [
    [
      name,
      kept.map((item: Record<string, unknown>) =>
        Object.fromEntries(inner.split(",").map(f => [f, item[f]])),
      ),
    ],
  ];
}

const JSON_TYPE = { "content-type": "application/json; charset=UTF-8" };

/** Google answers a media request in plain text and any other in JSON. */
function refusal(call: Call, code: number, reason: string, message: string): Reply {
  if (call.kind === "media")
    return { status: code, headers: { "content-type": "text/html" }, body: Buffer.from(message) };
  const error = { code, message, errors: [{ domain: "global", reason, message }] };
  return { status: code, headers: JSON_TYPE, body: Buffer.from(JSON.stringify({ error })) };
}

function isRefusal(fault: Fault | undefined): fault is Extract<Fault, { kind: "status" | "reset" }> {
  return fault?.kind === "status" || fault?.kind === "reset";
}

function misbehave(
  request: IncomingMessage,
  response: ServerResponse,
  call: Call,
  fault: Extract<Fault, { kind: "status" | "reset" }>,
): void {
  if (fault.kind === "reset") {
    request.socket.resetAndDestroy();
    return;
  }
  const reply = refusal(call, fault.status, fault.reason ?? "backendError", "planned");
  send(response, { ...reply, headers: { ...reply.headers, ...fault.headers } }, undefined);
}

function send(
  response: ServerResponse,
  { status, headers, body = Buffer.alloc(0) }: Reply,
  fault: Fault | undefined,
): void {
  response.writeHead(status, {
    ...headers,
    ...(status !== 204 && { "content-length": String(body.length) }),
  });
  switch (fault?.kind) {
    case "stall-body":
      response.write(body.subarray(0, fault.afterBytes));
      return;
    case "cut-body":
      response.write(body.subarray(0, fault.afterBytes), () => response.destroy());
      return;
    case "flip-byte": {
      const damaged = Buffer.from(body);
      damaged[fault.index] = (damaged[fault.index] ?? 0) ^ 1;
      response.end(damaged);
      return;
    }
    default:
      response.end(body);
  }
}

function withWrongCrc(reply: Reply): Reply {
  const headers = { ...reply.headers };
  if (headers["x-goog-hash"]) headers["x-goog-hash"] = "crc32c=AAAAAA==";
  const body = reply.body?.toString("latin1").replace(/("crc32c":")[^"]*/, "$1AAAAAA==");
  return { status: reply.status, headers, ...(body !== undefined && { body: Buffer.from(body, "latin1") }) };
}

/** Part 1 is JSON metadata, part 2 the bytes. */
function multipart(call: Call): [Record<string, unknown>, Buffer] {
  const boundary = /boundary="?([^";]+)/.exec(call.headers["content-type"] ?? "")?.[1] ?? "";
  const { body } = call;
  const part = (from: number): Buffer => {
    const start = body.indexOf("\r\n\r\n", from) + 4;
    return body.subarray(start, body.indexOf(`\r\n--${boundary}`, start));
  };
  const first = part(0);
  const meta: unknown = JSON.parse(first.toString());
  const second = part(body.indexOf(`--${boundary}`, first.byteOffset - body.byteOffset + first.length));
  return [meta as Record<string, unknown>, second];
}

function headerCrc(header: string | string[] | undefined): string | undefined {
  return /crc32c=([A-Za-z0-9+/=]+)/.exec(String(header ?? ""))?.[1];
}

function crcOf(bytes: Buffer): string {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32c(bytes));
  return value.toString("base64");
}

function md5Of(bytes: Buffer): string {
  return createHash("md5").update(bytes).digest("base64");
}
