/** What one tus request carries past @tus/server, whose hooks and store see an id and little more. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Request, Response } from "express";
import type { Caller, Upload } from "../../core/model.js";
import type { Uploads } from "../../core/uploads.js";
import type { Checksum } from "./checksum.js";

export interface TusContext {
  readonly req: Request;
  readonly res: Response;
  readonly caller: Caller;
  /** Fires when the client is gone or too slow. */
  readonly signal: AbortSignal;
  /** `Upload-Checksum`, if the request has one. */
  readonly checksum: Checksum | null;
  /** The length that this request declares, where that is to be done only if its bytes are kept. */
  lateLength?: number;
  /** The token of the upload that this request has begun. */
  begun?: string;
  /** The upload as it stood before this request changed it, once {@link uploadSeen} has looked. */
  upload: Upload | null;
}

/** The upload of this request, asked of the database at the first call only. */
export async function uploadSeen(context: TusContext, uploads: Uploads, token: string): Promise<Upload> {
  context.upload ??= await uploads.find(token);
  return context.upload;
}

const storage = new AsyncLocalStorage<TusContext>();

export function withContext<T>(context: TusContext, act: () => Promise<T>): Promise<T> {
  return storage.run(context, act);
}

export function tusContext(): TusContext {
  const context = storage.getStore();
  if (!context) throw new Error("outside of a tus request");
  return context;
}
