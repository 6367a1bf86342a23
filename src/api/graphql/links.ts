/** Download links: made with the password, revoked with it, listed for administrators. */
import { Arg, Args, Authorized, Ctx, FieldResolver, Mutation, Resolver, Root } from "type-graphql";
import { VaultError } from "../../core/errors.js";
import type { ApiDeps } from "../deps.js";
import type { Context } from "./context.js";
import { orUserErrors } from "./errors.js";
import { FileType, fileView } from "./file-type.js";
import { CreateDownloadLinkInput, RevokeDownloadLinkInput } from "./inputs.js";
import type { DownloadLinkType } from "./link-type.js";
import { DownloadLinkConnection, linkIdOf, linkView } from "./link-type.js";
import { DownloadLinksArgs, LINKS_PER_PAGE } from "./list-inputs.js";
import type { Connection } from "./pages.js";
import { connectionOf, pageOf } from "./pages.js";
import { CreateDownloadLinkPayload, RevokeDownloadLinkPayload } from "./payloads.js";

@Resolver(() => FileType)
export class LinkResolver {
  constructor(private readonly deps: Pick<ApiDeps, "links" | "publicUrl">) {}

  @Authorized("admin")
  @FieldResolver(() => DownloadLinkConnection, {
    nullable: true,
    description: "Newest first, those that are over included for a month. Admin. `first` at most 100.",
  })
  async downloadLinks(
    @Root() { source }: FileType,
    @Ctx() { loaders }: Context,
    @Args(() => DownloadLinksArgs) page: DownloadLinksArgs,
  ): Promise<Connection<DownloadLinkType>> {
    return connectionOf(await loaders.links(source, pageOf(page, LINKS_PER_PAGE)), linkView);
  }

  @Mutation(() => CreateDownloadLinkPayload, { description: "Make a short-lived download link. Password." })
  createDownloadLink(
    @Arg("input", () => CreateDownloadLinkInput) input: CreateDownloadLinkInput,
    @Ctx() { caller }: Context,
  ): Promise<CreateDownloadLinkPayload> {
    return orUserErrors(async () => {
      const { hash, password, expiresIn, maxDownloads, disposition } = input;
      const terms = { expiresInSeconds: expiresIn ?? null, maxUses: maxDownloads ?? null };
      const request = { hash, password, ...terms, disposition: disposition ?? "attachment" };
      const { grant, token, file, meta } = await this.deps.links.create(request, caller);
      return {
        link: linkView(grant),
        url: `${this.deps.publicUrl()}/d/${token}`,
        file: fileView(file, meta),
      };
    });
  }

  @Mutation(() => RevokeDownloadLinkPayload, {
    description: "End a link before its time; a download under way goes on. Password, or admin.",
  })
  revokeDownloadLink(
    @Arg("input", () => RevokeDownloadLinkInput) { id, password }: RevokeDownloadLinkInput,
    @Ctx() { caller }: Context,
  ): Promise<RevokeDownloadLinkPayload> {
    return orUserErrors(async () => {
      const linkId = linkIdOf(id);
      if (!linkId) throw new VaultError("NOT_FOUND", "not the id of a link", { field: "id" });
      return { link: linkView(await this.deps.links.revoke(linkId, password ?? null, caller)) };
    });
  }
}
