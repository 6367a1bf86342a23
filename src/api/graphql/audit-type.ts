/** An entry of the audit log as the schema shows it. */
import { Field, ID, Int, ObjectType, registerEnumType } from "type-graphql";
import type { AuditAction, AuditEntry, AuditOutcome } from "../../core/audit.js";
import { AUDIT_ACTIONS, AUDIT_OUTCOMES } from "../../core/audit.js";
import type { BucketId } from "../../core/model.js";
import { globalId } from "./ids.js";
import { NodeType } from "./node.js";
import type { Edge } from "./pages.js";
import { PageInfo } from "./pages.js";
import { DateTime, Sha256 } from "./scalars.js";

/** GraphQL's names are core's. */
const enumOf = <T extends string>(names: readonly T[]) =>
  Object.fromEntries(names.map(name => [name, name])) as { readonly [K in T]: K };

export const AuditActionEnum = enumOf(AUDIT_ACTIONS);
export const AuditOutcomeEnum = enumOf(AUDIT_OUTCOMES);

registerEnumType(AuditActionEnum, { name: "AuditAction" });
registerEnumType(AuditOutcomeEnum, {
  name: "AuditOutcome",
  valuesConfig: {
    DENIED: { description: "A rule refused it; `message` says which." },
    FAILED: { description: "It was allowed, and something broke; `message` says what." },
  },
});

@ObjectType("AuditEvent", {
  implements: NodeType,
  description: "Something that happened. Never holds a password, a key or a link. Admin.",
})
export class AuditEventType
  extends NodeType
  implements
    Pick<AuditEntry, "at" | "action" | "outcome" | "fileHash" | "actor" | "clientIp" | "requestId" | "count">
{
  @Field(() => DateTime) at!: Date;
  @Field(() => AuditActionEnum) action!: AuditAction;
  @Field(() => AuditOutcomeEnum) outcome!: AuditOutcome;
  @Field(() => Sha256, { nullable: true }) fileHash!: string | null;

  @Field(() => ID, {
    nullable: true,
    description: "The upload, and the file that came of it: also where there is no hash yet.",
  })
  uploadId!: string | null;

  @Field(() => String, { nullable: true, description: "Admin name, or null for the public." })
  actor!: string | null;

  @Field(() => String, { nullable: true }) clientIp!: string | null;
  @Field(() => String, { nullable: true }) requestId!: string | null;
  @Field(() => String, { nullable: true, description: "Why, as an error's code." }) message!: string | null;

  @Field(() => Int, {
    description: "How many events this one stands for: in a flood of refusals they are summed.",
  })
  count!: number;

  @Field(() => String, {
    description: "Number and hash of the entry: what `scattervault audit verify --expect` takes.",
  })
  entry!: string;

  /** Where the field `bucket` begins. */
  bucketId!: BucketId | null;
}

@ObjectType("AuditEventEdge")
export class AuditEventEdge implements Edge<AuditEventType> {
  @Field(() => String) cursor!: string;
  @Field(() => AuditEventType) node!: AuditEventType;
}

/** Without a count: the log only ever grows, and counting it would read all of it. */
@ObjectType("AuditEventConnection")
export class AuditEventConnection {
  @Field(() => [AuditEventEdge]) edges!: AuditEventEdge[];
  @Field(() => [AuditEventType]) nodes!: AuditEventType[];
  @Field(() => PageInfo) pageInfo!: PageInfo;
}

export function auditEventView(entry: AuditEntry): AuditEventType {
  const { seq, hash, at, action, outcome, fileId, fileHash, bucketId } = entry;
  const { actor, clientIp, requestId, code, count } = entry;
  return {
    id: globalId("AuditEvent", seq),
    at,
    action,
    outcome,
    fileHash,
    uploadId: fileId === null ? null : globalId("UploadSession", fileId),
    bucketId,
    actor,
    clientIp,
    requestId,
    message: code,
    count,
    entry: `${seq}:${hash}`,
  };
}
