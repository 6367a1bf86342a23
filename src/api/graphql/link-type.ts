/** A download link as the schema shows it: without the token, which only its maker is told. */
import { Field, Int, ObjectType, registerEnumType } from "type-graphql";
import type { Grant } from "../../core/model.js";
import { globalId, parseGlobalId } from "./ids.js";
import { NodeType } from "./node.js";
import { connectionType } from "./pages.js";
import { DateTime } from "./scalars.js";

export enum Disposition {
  ATTACHMENT = "attachment",
  INLINE = "inline",
}

registerEnumType(Disposition, {
  name: "Disposition",
  valuesConfig: {
    ATTACHMENT: { description: "The browser saves the file." },
    INLINE: {
      description:
        "The browser shows the file, if it is a raster image, audio, video or plain text; it saves all others.",
    },
  },
});

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

export const DownloadLinkConnection = connectionType("DownloadLink", () => DownloadLinkType);

/** The link's own id; null for what is not the global id of a link. */
export function linkIdOf(id: string): Uint8Array | null {
  const { type, key } = parseGlobalId(id) ?? {};
  return type === "DownloadLink" && /^[0-9a-f]{32}$/.test(key ?? "") ? Buffer.from(key ?? "", "hex") : null;
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
