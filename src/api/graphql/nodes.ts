/** Anything by its global id, for administrators. */
import { Arg, Ctx, ID, Query, Resolver } from "type-graphql";
import { requireAdmin } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { auditEventView } from "./audit-type.js";
import { bucketView } from "./bucket-type.js";
import { chunkView } from "./chunk-type.js";
import type { Context } from "./context.js";
import { fileView } from "./file-type.js";
import { parseGlobalId } from "./ids.js";
import { linkView } from "./link-type.js";
import { NodeType } from "./node.js";
import { uploadSessionView } from "./upload-session-type.js";

type NodeDeps = Pick<ApiDeps, "lookup" | "auditTrail">;

/** How the things of one type are found: what comes after the type in their ids, and what is there. */
interface Kind {
  readonly key: RegExp;
  find(deps: NodeDeps, key: readonly string[], context: Context): Promise<NodeType | null>;
}

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const NUMBER = "0|[1-9]\\d{0,8}";

/** A type that implements Node is a line here, by its name. */
const KINDS: Readonly<Record<string, Kind>> = {
  File: { key: /^([0-9a-f]{64})$/, find: findFile },
  Chunk: { key: new RegExp(`^(${UUID}):(${NUMBER}):(\\d{1,3})$`), find: findChunk },
  Bucket: { key: /^([1-9]\d{0,4})$/, find: findBucket },
  UploadSession: { key: new RegExp(`^(${UUID})$`), find: findUploadSession },
  DownloadLink: { key: /^([0-9a-f]{32})$/, find: findLink },
  AuditEvent: { key: /^([1-9]\d{0,14})$/, find: findAuditEvent },
};

@Resolver()
export class NodeResolver {
  constructor(private readonly deps: NodeDeps) {}

  @Query(() => NodeType, {
    nullable: true,
    description: "Any object by its global id; null if there is none. Admin.",
  })
  async node(@Arg("id", () => ID) id: string, @Ctx() context: Context): Promise<NodeType | null> {
    requireAdmin(context.caller);
    const { type, key } = parseGlobalId(id) ?? { type: "", key: "" };
    const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
    const parts = kind?.key.exec(key)?.slice(1);
    return kind && parts ? kind.find(this.deps, parts, context) : null;
  }
}

async function findFile({ lookup }: NodeDeps, [hash = ""]: readonly string[]): Promise<NodeType | null> {
  const [file] = await lookup.files({ hashes: [hash] });
  return file ? fileView(file, null) : null;
}

async function findChunk(
  { lookup }: NodeDeps,
  [fileId = "", stripe, shard]: readonly string[],
): Promise<NodeType | null> {
  const chunk = await lookup.chunk(fileId, Number(stripe), Number(shard));
  const [file] = chunk ? await lookup.files({ ids: [fileId] }) : [];
  return chunk && file ? chunkView(file)(chunk) : null;
}

async function findBucket(
  _deps: NodeDeps,
  [id]: readonly string[],
  { loaders }: Context,
): Promise<NodeType | null> {
  const bucket = (await loaders.buckets()).get(Number(id));
  return bucket ? bucketView(bucket) : null;
}

async function findUploadSession(
  { lookup }: NodeDeps,
  [id = ""]: readonly string[],
): Promise<NodeType | null> {
  const upload = await lookup.upload(id);
  return upload && uploadSessionView(upload);
}

async function findLink({ lookup }: NodeDeps, [id = ""]: readonly string[]): Promise<NodeType | null> {
  const grant = await lookup.link(Buffer.from(id, "hex"));
  return grant && linkView(grant);
}

async function findAuditEvent({ auditTrail }: NodeDeps, [seq]: readonly string[]): Promise<NodeType | null> {
  const entry = await auditTrail.find(Number(seq));
  return entry && auditEventView(entry);
}
