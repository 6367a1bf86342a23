/** The encrypted body of a file, or of an upload: what is needed to read it back, or to go on with it. */
import type { FileCore } from "../format/core.js";
import { decodeCore } from "../format/core.js";
import type { FloeMessage } from "../format/floe.js";
import { resumeMessage } from "../format/floe.js";
import type { FileId } from "../format/id.js";
import { bodyAad, bodyKey } from "../format/keys.js";
import type { Layout } from "../format/layout.js";
import type { ParityProfile, StoredFile, Upload } from "./model.js";

export interface Body {
  readonly fileId: FileId;
  readonly layout: Layout;
  readonly plainBytes: number;
  readonly parity: ParityProfile;
  readonly message: FloeMessage;
}

/** Trusts the sealed core alone, not the columns beside it. */
export function bodyOfFile(file: StoredFile, dek: Uint8Array): Body {
  return bodyOfCore(decodeCore(file.core), file.parity, dek);
}

export function bodyOfCore(core: FileCore, parity: ParityProfile, dek: Uint8Array): Body {
  const { fileId, segmentBytes, chunkBytes, plainBytes, floeHeader } = core;
  const message = resumeMessage(bodyKey(dek), bodyAad(fileId), floeHeader);
  return { fileId, layout: { segmentBytes, chunkBytes }, plainBytes, parity, message };
}

export function bodyOfUpload(upload: Upload, dek: Uint8Array): Body {
  const { id, layout, parity, floeHeader, offset: plainBytes } = upload;
  return {
    fileId: id,
    layout,
    plainBytes,
    parity,
    message: resumeMessage(bodyKey(dek), bodyAad(id), floeHeader),
  };
}
