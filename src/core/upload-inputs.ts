/** What the doors give an upload: at its beginning, and late. */
import type { UploadFacts } from "../format/facts.js";
import type { FileTerms, Upload } from "./model.js";

/** What an upload begins with. */
export interface BeginUpload {
  readonly name: string;
  readonly mediaType: string;
  /** Null where the password comes after the bytes (a form with the file first): {@link Uploads.finish} then needs it. */
  readonly password: string | null;
  /** Plain length; null: not known yet. */
  readonly length: number | null;
  /** Null: the default. */
  readonly chunkBytes: number | null;
  readonly terms: FileTerms;
  /** What the door wants to remember of it. */
  readonly facts?: Partial<UploadFacts>;
}

/** A begun upload and the token that is the right to go on with it. */
export interface BegunUpload {
  readonly upload: Upload;
  readonly token: string;
}

/** What a door may learn only while or after the bytes come. */
export interface LateFacts {
  /** Where none was given at the beginning. */
  readonly password?: string;
  /** Of the plain bytes, 64 hex digits, where they came in one request. */
  readonly sha256?: string;
  /** In place of those given at the beginning. */
  readonly terms?: FileTerms;
}
