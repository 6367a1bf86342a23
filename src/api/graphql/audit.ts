/** The audit log, for administrators: of everything, and of one file. */
import { Args, Authorized, Ctx, FieldResolver, Query, Resolver, Root } from "type-graphql";
import type { AuditEntry, AuditPage } from "../../core/audit.js";
import { requireAdmin } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { badRequest } from "../errors.js";
import {
  AUDIT_OF_FILE_PER_PAGE,
  AUDIT_PER_PAGE,
  AuditEventsArgs,
  FileAuditEventsArgs,
} from "./audit-inputs.js";
import { AuditEventConnection, AuditEventType, auditEventView } from "./audit-type.js";
import { BucketType, bucketView } from "./bucket-type.js";
import type { Context } from "./context.js";
import { FileType } from "./file-type.js";
import { requireBucketId } from "./ids.js";
import type { PageArgs } from "./pages.js";
import { given, pageOf } from "./pages.js";

type Deps = Pick<ApiDeps, "auditTrail">;

const CURSOR = /^audit (\d{1,15})$/;

@Resolver(() => AuditEventType)
export class AuditResolver {
  constructor(private readonly deps: Deps) {}

  @Query(() => AuditEventConnection, { description: "Newest first. Admin. `first` at most 100." })
  async auditEvents(
    @Ctx() { caller }: Context,
    @Args(() => AuditEventsArgs) { filter, ...page }: AuditEventsArgs,
  ): Promise<AuditEventConnection> {
    requireAdmin(caller);
    const bucketId = filter?.bucketId == null ? null : requireBucketId(filter.bucketId);
    const { limit, before } = eventsAsked(page, AUDIT_PER_PAGE);
    return connectionOf(
      await this.deps.auditTrail.page(limit, before, given({ ...filter, bucketId })),
      before,
    );
  }

  @FieldResolver(() => BucketType, { nullable: true })
  async bucket(
    @Root() { bucketId }: AuditEventType,
    @Ctx() { loaders }: Context,
  ): Promise<BucketType | null> {
    return bucketId === null ? null : bucketView(await loaders.bucket(bucketId));
  }
}

@Resolver(() => FileType)
export class FileAuditResolver {
  @Authorized("admin")
  @FieldResolver(() => AuditEventConnection, {
    nullable: true,
    description: "What happened to this file, and to its upload. Admin.",
  })
  async auditEvents(
    @Root() { source }: FileType,
    @Args(() => FileAuditEventsArgs) page: FileAuditEventsArgs,
    @Ctx() { loaders }: Context,
  ): Promise<AuditEventConnection> {
    const { limit, before } = eventsAsked(page, AUDIT_OF_FILE_PER_PAGE);
    return connectionOf(await loaders.auditEvents(source, limit, before), before);
  }
}

/** `before`: the entry that the page goes on from, which is older; null for the newest. */
function eventsAsked(page: PageArgs, defaultLimit: number): { limit: number; before: number | null } {
  const { limit, after } = pageOf(page, defaultLimit);
  return { limit, before: after === null ? null : seqOf(after) };
}

function connectionOf({ entries, hasNext }: AuditPage, before: number | null): AuditEventConnection {
  const edges = entries.map(entry => ({ cursor: cursorOf(entry), node: auditEventView(entry) }));
  const pageInfo = {
    hasNextPage: hasNext,
    hasPreviousPage: before !== null,
    startCursor: edges.at(0)?.cursor ?? null,
    endCursor: edges.at(-1)?.cursor ?? null,
  };
  return { edges, nodes: edges.map(({ node }) => node), pageInfo };
}

function cursorOf({ seq }: AuditEntry): string {
  return Buffer.from(`audit ${seq}`).toString("base64url");
}

function seqOf(cursor: string): number {
  const [, seq] = CURSOR.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (seq === undefined) throw badRequest("That is not a cursor of this list.", "after");
  return Number(seq);
}
