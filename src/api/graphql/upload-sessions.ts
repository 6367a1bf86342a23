/** Uploads whose bytes come by tus: begun here with the password, so that no tus client ever holds it. */
import { Arg, Args, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from "type-graphql";
import { VaultError } from "../../core/errors.js";
import type { Caller, Upload } from "../../core/model.js";
import { parseToken } from "../../format/token.js";
import { requireAdmin } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import type { Context } from "./context.js";
import { orUserErrors } from "./errors.js";
import { FileType, fileView } from "./file-type.js";
import { AbandonUploadInput, CreateUploadInput } from "./inputs.js";
import { UPLOADS_PER_PAGE, UploadSessionsArgs } from "./list-inputs.js";
import type { Connection } from "./pages.js";
import { connectionOf, pageOf } from "./pages.js";
import { AbandonUploadPayload, CreateUploadPayload } from "./payloads.js";
import { UploadSessionConnection, UploadSessionType, uploadSessionView } from "./upload-session-type.js";

const UNKNOWN_MEDIA_TYPE = "application/octet-stream";

@Resolver(() => UploadSessionType)
export class UploadSessionResolver {
  constructor(private readonly deps: Pick<ApiDeps, "uploads" | "catalogue" | "publicUrl">) {}

  @Query(() => UploadSessionType, {
    nullable: true,
    description:
      "An upload by its tus URL or token (the right to read it); null if there is none. Ended ones are kept for a while.",
  })
  async uploadSession(@Arg("token", () => String) token: string): Promise<UploadSessionType | null> {
    const upload = await this.#look(token);
    return upload && uploadSessionView(upload);
  }

  @Query(() => UploadSessionConnection, { description: "Newest first. Admin. `first` at most 100." })
  async uploadSessions(
    @Ctx() { caller }: Context,
    @Args(() => UploadSessionsArgs) { stage, ...page }: UploadSessionsArgs,
  ): Promise<Connection<UploadSessionType>> {
    requireAdmin(caller);
    const found = await this.deps.catalogue.uploads(pageOf(page, UPLOADS_PER_PAGE), stage ? { stage } : {});
    return connectionOf(found, upload => uploadSessionView(upload));
  }

  @FieldResolver(() => FileType, { nullable: true, description: "Set once the stage is FINISHED." })
  async file(@Root() { source }: UploadSessionType, @Ctx() { loaders }: Context): Promise<FileType | null> {
    const file = source.hash === null ? null : await loaders.files.load(source.hash);
    return file && fileView(file, null);
  }

  @Mutation(() => CreateUploadPayload, {
    description: "Begin a resumable upload: returns where to send the bytes with tus. Public.",
  })
  createUpload(
    @Arg("input", () => CreateUploadInput) input: CreateUploadInput,
    @Ctx() { caller }: Context,
  ): Promise<CreateUploadPayload> {
    const work = async () => {
      const { upload, token } = await this.deps.uploads.begin(
        {
          name: input.filename,
          mediaType: input.mediaType ?? UNKNOWN_MEDIA_TYPE,
          password: input.password,
          length: input.size ?? null,
          chunkBytes: input.chunkSize ?? null,
          terms: { expiresInSeconds: input.expiresIn ?? null, maxDownloads: input.maxDownloads ?? null },
          facts: { expectedSha256: input.expectedSha256 ?? null },
        },
        caller,
      );
      return { upload: uploadSessionView(upload, `${this.deps.publicUrl()}/files/${token}`) };
    };
    return orUserErrors(work, { FILE_TOO_LARGE: "size" });
  }

  @Mutation(() => AbandonUploadPayload, {
    description:
      "Abandon an upload and drop what was received. Whoever holds its token. One that has ended without a file stays as it is.",
  })
  abandonUpload(
    @Arg("input", () => AbandonUploadInput) { token }: AbandonUploadInput,
    @Ctx() { caller }: Context,
  ): Promise<AbandonUploadPayload> {
    return orUserErrors(async () => ({ upload: uploadSessionView(await this.#abandon(token, caller)) }), {
      NOT_FOUND: "token",
      UPLOAD_ALREADY_FINISHED: "token",
    });
  }

  async #look(text: string): Promise<Upload | null> {
    const token = tokenOf(text);
    return token === null ? null : this.deps.uploads.look(token);
  }

  async #abandon(text: string, caller: Caller): Promise<Upload> {
    const token = tokenOf(text);
    if (token !== null) await this.deps.uploads.abandon(token, caller);
    const upload = await this.#look(text);
    if (!upload) throw new VaultError("NOT_FOUND", "no upload has this token");
    return upload;
  }
}

const LAST_OF_PATH = /(?:^|\/files\/)([^/]+)$/;

/** The token itself, also out of the tus URL that a client keeps; null for what is neither. */
function tokenOf(text: string): string | null {
  const token = LAST_OF_PATH.exec(text)?.[1];
  return token !== undefined && parseToken(token) ? token : null;
}
