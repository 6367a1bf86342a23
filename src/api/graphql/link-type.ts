/** A download link as the schema shows it: without the token, which only its maker is told. */
import { Field, Int, ObjectType } from "type-graphql";
import type { Grant } from "../../core/model.js";
import { globalId } from "./ids.js";
import { NodeType } from "./node.js";
import { DateTime } from "./scalars.js";

@ObjectType("DownloadLink", {
  implements: NodeType,
  description:
    "A short-lived link that streams the decrypted file. The URL is shown once, in\nthe payload that created it.",
})
export class DownloadLinkType extends NodeType implements Pick<Grant, "createdAt" | "revokedAt"> {
  @Field(() => DateTime) createdAt!: Date;
  @Field(() => DateTime) expiresAt!: Date;
  @Field(() => Int, { nullable: true }) maxDownloads!: number | null;
  @Field(() => Int) downloadCount!: number;
  @Field(() => DateTime, { nullable: true }) revokedAt!: Date | null;
}

export function linkView({
  id,
  createdAt,
  expiresAt,
  maxUses,
  useCount,
  revokedAt,
}: Grant): DownloadLinkType {
  if (!expiresAt) throw new Error("a link without an expiry");
  return {
    id: globalId("DownloadLink", Buffer.from(id).toString("hex")),
    createdAt,
    expiresAt,
    maxDownloads: maxUses,
    downloadCount: useCount,
    revokedAt,
  };
}
