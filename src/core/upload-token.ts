/** What an upload's token is good for: it finds the upload, opens the wrap of its DEK, and reads its facts. */
import type { UploadFacts } from "../format/facts.js";
import { openFacts, sealFacts } from "../format/facts.js";
import type { FileId } from "../format/id.js";
import { parseToken, tokenId, tokenKey } from "../format/token.js";
import { encodeUploadParams, unwrapDek, wrapDek } from "../format/wrap.js";
import { VaultError } from "./errors.js";
import type { HeldUpload, Upload } from "./model.js";
import type { NewGrant } from "./grant-ports.js";
import { takenOver } from "./upload-errors.js";

export class UploadToken {
  readonly #bytes: Uint8Array;

  /** Throws NOT_FOUND for what is no token: whoever guesses learns nothing more. */
  constructor(readonly text: string) {
    const bytes = parseToken(text);
    if (!bytes) throw new VaultError("NOT_FOUND", "malformed upload token");
    this.#bytes = bytes;
  }

  /** What the database knows the upload and its grant by. */
  get id(): Uint8Array {
    return tokenId(this.#bytes, "upload");
  }

  /** The grant that lets the token's holder go on until `expiresAt`. */
  grant(fileId: FileId, dek: Uint8Array, expiresAt: Date): NewGrant {
    const params = encodeUploadParams({ notAfter: Math.floor(expiresAt.getTime() / 1000) });
    const wrap = wrapDek({ kind: "upload", params, ikm: tokenKey(this.#bytes, "upload"), fileId, dek });
    return { id: this.id, fileId, kind: "upload", wrap, expiresAt, maxUses: null };
  }

  /**
   * The upload's DEK. Throws UPLOAD_TAKEN_OVER where another request ended the upload meanwhile, and its grant with it;
   * NOT_FOUND for a grant that is not for this token.
   */
  dek(upload: HeldUpload): Uint8Array {
    const { id, wrap, stage } = upload;
    if (wrap === null && stage !== "receiving") throw takenOver(upload);
    const ikm = tokenKey(this.#bytes, "upload");
    const dek = wrap && unwrapDek({ kind: "upload", record: wrap, ikm, fileId: id });
    if (!dek) throw new VaultError("NOT_FOUND", `upload ${id} has no grant for this token`);
    return dek;
  }

  sealFacts(fileId: FileId, facts: UploadFacts): Uint8Array {
    return sealFacts(this.#bytes, fileId, facts);
  }

  facts(upload: Upload): UploadFacts {
    return openFacts(this.#bytes, upload.id, upload.facts);
  }
}
