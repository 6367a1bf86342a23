/** What the lists of the audit log take. */
import { ArgsType, Field, ID, InputType, Int } from "type-graphql";
import type { AuditAction, AuditOutcome } from "../../core/audit.js";
import { AuditActionEnum, AuditOutcomeEnum } from "./audit-type.js";
import { DateTime, Sha256 } from "./scalars.js";

export const AUDIT_PER_PAGE = 50;
export const AUDIT_OF_FILE_PER_PAGE = 20;

@InputType("AuditFilter")
export class AuditFilterInput {
  @Field(() => [AuditActionEnum], { nullable: true }) action?: AuditAction[] | null;
  @Field(() => [AuditOutcomeEnum], { nullable: true }) outcome?: AuditOutcome[] | null;

  @Field(() => Sha256, { nullable: true, description: "A file's, its upload's events among them." })
  fileHash?: string | null;

  @Field(() => ID, { nullable: true }) bucketId?: string | null;
  @Field(() => DateTime, { nullable: true, description: "Inclusive." }) since?: Date | null;
  @Field(() => DateTime, { nullable: true, description: "Exclusive." }) until?: Date | null;
}

@ArgsType()
export class AuditEventsArgs {
  @Field(() => Int, { nullable: true, defaultValue: AUDIT_PER_PAGE }) first?: number | null;
  @Field(() => String, { nullable: true }) after?: string | null;
  @Field(() => AuditFilterInput, { nullable: true }) filter?: AuditFilterInput | null;
}

@ArgsType()
export class FileAuditEventsArgs {
  @Field(() => Int, { nullable: true, defaultValue: AUDIT_OF_FILE_PER_PAGE }) first?: number | null;
  @Field(() => String, { nullable: true }) after?: string | null;
}
