/** Uploading in a GraphQL multipart request. */
import type { FileUpload } from "graphql-upload-minimal";
import { Arg, Ctx, Mutation, Resolver } from "type-graphql";
import { VaultError } from "../../core/errors.js";
import { Arrival } from "../arrival.js";
import type { ApiDeps } from "../deps.js";
import { badRequest } from "../errors.js";
import { Pieces } from "../pieces.js";
import type { Context } from "./context.js";
import { orUserErrors } from "./errors.js";
import type { FileType } from "./file-type.js";
import { fileView } from "./file-type.js";
import { UploadFileInput } from "./inputs.js";
import { UploadFilePayload } from "./payloads.js";

@Resolver()
export class UploadResolver {
  constructor(private readonly deps: Pick<ApiDeps, "uploads" | "log">) {}

  @Mutation(() => UploadFilePayload, {
    description: "Upload a file in this very request (GraphQL multipart). Public.",
  })
  uploadFile(
    @Arg("input", () => UploadFileInput) input: UploadFileInput,
    @Ctx() context: Context,
  ): Promise<UploadFilePayload> {
    return orUserErrors(async () => ({ file: await this.#upload(input, context) }));
  }

  async #upload(input: UploadFileInput, { caller, signal, requestId }: Context): Promise<FileType> {
    const part = await filePart(input.file);
    const { password, chunkSize, expectedSha256 } = input;
    const terms = { expiresInSeconds: input.expiresIn ?? null, maxDownloads: input.maxDownloads ?? null };
    const { filename: name = "", mimetype: mediaType } = part;
    const begin = { name, mediaType, password, chunkBytes: chunkSize ?? null, terms };
    const arrival = await Arrival.begin(this.deps.uploads, begin, caller);
    try {
      await arrival.take(bytesOf(part), signal);
      if (expectedSha256 && expectedSha256 !== arrival.sha256) {
        throw new VaultError("CHECKSUM_MISMATCH", "not the expected SHA-256", { field: "expected_sha256" });
      }
      signal.throwIfAborted(); // the form was cut in its last boundary
      const file = await arrival.finish({});
      return fileView(file, { name, mediaType, sha256: arrival.sha256 });
    } catch (error) {
      await arrival
        .abandon()
        .catch(cause =>
          this.deps.log.warn({ requestId, cause: String(cause) }, "an upload was left to the sweep"),
        );
      throw error;
    }
  }
}

async function filePart(file: Promise<FileUpload>): Promise<FileUpload> {
  try {
    return await file;
  } catch {
    throw badRequest("The multipart request has no part for the file, or ends before it.", "file");
  }
}

/** The bytes of the part; where the form is cut short, the parser's error is the client's mistake. */
function bytesOf(part: FileUpload): Pieces {
  const broken = () => badRequest("The multipart request ends early or is malformed.", "file");
  try {
    return new Pieces(part.createReadStream(), { broken });
  } catch {
    throw broken(); // two variables name the same part
  }
}
