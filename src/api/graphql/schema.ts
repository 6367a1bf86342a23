/** The schema, from the resolvers; and as SDL, which follows from their classes alone. */
import "reflect-metadata";
import { writeFile } from "node:fs/promises";
import type { GraphQLSchema } from "graphql";
import { printSchema } from "graphql";
import type { AuthChecker, MiddlewareFn } from "type-graphql";
import { buildSchema } from "type-graphql";
import type { ApiDeps } from "../deps.js";
import { AuditResolver, FileAuditResolver } from "./audit.js";
import { BucketResolver } from "./buckets.js";
import { BucketShareResolver, ChunkMapResolver, ChunkResolver } from "./chunk-map.js";
import type { Context } from "./context.js";
import { FileListResolver } from "./file-list.js";
import { FileResolver } from "./files.js";
import { LinkResolver } from "./links.js";
import { NodeResolver } from "./nodes.js";
import { ServerInfoResolver } from "./server-info.js";
import { StorageStatsResolver } from "./storage-stats.js";
import { UploadSessionResolver } from "./upload-sessions.js";
import { UploadResolver } from "./uploads.js";

const RESOLVERS = [
  ServerInfoResolver,
  FileResolver,
  FileListResolver,
  LinkResolver,
  ChunkMapResolver,
  ChunkResolver,
  BucketShareResolver,
  StorageStatsResolver,
  BucketResolver,
  UploadResolver,
  UploadSessionResolver,
  NodeResolver,
  AuditResolver,
  FileAuditResolver,
] as const;

/** Builds the schema over resolver *instances*: the whole of our dependency injection. */
export function schemaOf(deps: ApiDeps, translateErrors: MiddlewareFn<Context>): Promise<GraphQLSchema> {
  const instances = new Map<unknown, object>(RESOLVERS.map(resolver => [resolver, new resolver(deps)]));
  return build({
    container: { get: (resolver: unknown) => instances.get(resolver) },
    globalMiddlewares: [translateErrors],
  });
}

/** Writes the schema as SDL. */
export async function emitSchema(path: string): Promise<void> {
  await writeFile(path, await schemaText());
}

export async function schemaText(): Promise<string> {
  return `# Written by \`npm run schema\` from src/api/graphql; a test fails when it is stale.\n\n${printSchema(await build({}))}\n`;
}

/** A field marked `@Authorized` is null for everyone else, and never fails the query. */
const authChecker: AuthChecker<Context> = ({ context }, roles) =>
  [...context.caller.roles].some(role => roles.includes(role));

function build(options: Pick<Parameters<typeof buildSchema>[0], "container" | "globalMiddlewares">) {
  return buildSchema({
    resolvers: RESOLVERS,
    authChecker,
    authMode: "null",
    validate: false, // inputs are validated in core, where the rule is, for all doors
    ...options,
  });
}
