/** The ports of the sweep: what has expired, what nothing can name any more, and what is spared for now. */
import type { FileId } from "../format/id.js";
import type { ObjectRef } from "./model.js";

/** An upload that has not become a file, as far as this database knows. */
export interface OpenUpload {
  readonly id: FileId;
  readonly parityChunks: number;
}

/** A file that is over: its expiry has passed, or its last download has been had, and no retention holds it. */
export interface OverFile {
  readonly id: FileId;
  readonly hash: string;
  readonly parityChunks: number;
  /** Null: it never had a manifest. */
  readonly mapKey: Uint8Array | null;
}

export interface Expired {
  /** Past their expiry and still receiving. */
  readonly uploads: readonly OpenUpload[];
  readonly files: readonly OverFile[];
  /** Files whose shredding a crash stopped. */
  readonly halfShredded: readonly FileId[];
}

/** What has come to its end by the clock alone. */
export interface Expiries {
  /** Up to `limit` of each that are not spared. */
  expired(limit: number): Promise<Expired>;
  /** The file, if it is over by now and not spared. */
  over(id: FileId): Promise<OverFile | null>;
  /** Leaves an upload or a file out of these for a while. False: it has ended meanwhile. */
  spare(kind: "uploads" | "files", id: FileId, seconds: number): Promise<boolean>;
  /** Of these objects those that no row names: neither a manifest's, nor one that is pending or dead. */
  unknown(objects: readonly ObjectRef[]): Promise<readonly ObjectRef[]>;
}

/** A pending object that nobody is left to name. */
export interface LostObject extends ObjectRef {
  /** The upload that it was put for, unless that is known to have become a file. */
  readonly upload: OpenUpload | null;
  /** The object whose place it was to take, and which still has it. */
  readonly replaces: ObjectRef | null;
}

/** Objects whose writer reserved them and then lost them: by a crash, or to another writer. */
export interface LostObjects {
  /**
   * Up to `limit` of those older than `graceSeconds` and not spared whose upload has ended, or whose lease or hold is over.
   */
  find(limit: number, graceSeconds: number): Promise<readonly LostObject[]>;
  /**
   * Declares dead those that still are lost, and claims them as {@link DeadObjects.claim} does. What another sweeper is
   * burying now is left out.
   */
  bury(objects: readonly ObjectRef[], graceSeconds: number): Promise<readonly ObjectRef[]>;
  /** Leaves them out of {@link find} for a while. */
  spare(objects: readonly ObjectRef[], seconds: number): Promise<void>;
}

/** What is provably dead (design §6: never an object merely because the database does not know it). */
export interface DeadObjects {
  /** Claims up to `limit` for a few minutes, so that replicas do not sweep the same ones. */
  claim(limit: number): Promise<readonly ObjectRef[]>;
  /** Forgets objects whose bytes are gone. */
  forget(objects: readonly ObjectRef[]): Promise<void>;
}
