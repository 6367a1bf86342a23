/**
 * A file back from its buckets alone: hash, password, and nothing else. The recovery manifest takes the place of the
 * database, and what then reads is what always reads (gather.ts).
 */
import { passwordKey } from "../format/argon.js";
import { checkSeal, decodeCore } from "../format/core.js";
import { FormatError } from "../format/errors.js";
import { mapKey } from "../format/keys.js";
import type { ManifestBody } from "../format/manifest-body.js";
import type { ManifestHead } from "../format/manifest.js";
import { openBody, openHead } from "../format/manifest.js";
import type { FileMeta } from "../format/meta.js";
import { openMeta } from "../format/meta.js";
import { decodePasswordParams, unwrapDek, wrapParams } from "../format/wrap.js";
import type { Body } from "./body.js";
import { bodyOfCore } from "./body.js";
import { BucketError, VaultError } from "./errors.js";
import { ManifestMap } from "./manifest-map.js";
import { manifestKeysIn, readManifest } from "./manifest-search.js";
import type { ObjectKey } from "./model.js";
import type { Bucket, ChunkMap, Log } from "./ports.js";
import { Wherever } from "./wherever.js";

const HASH = /^[0-9a-f]{64}$/;

interface RecoveryDeps {
  readonly buckets: readonly Bucket[];
  readonly pepper: Uint8Array | null;
  readonly log: Log;
}

/** Everything that {@link gather} needs to read the file. */
export interface RecoveredFile {
  readonly meta: FileMeta;
  readonly revision: number;
  readonly body: Body;
  readonly chunkMap: Pick<ChunkMap, "chunks">;
  readonly buckets: { port(id: number): Bucket };
}

interface Found {
  readonly bucket: Bucket;
  readonly objectKey: ObjectKey;
  readonly head: ManifestHead;
}

/**
 * Throws INVALID_HASH; NOT_FOUND where the buckets that answer hold no manifest of the file; WRONG_PASSWORD, by the
 * newest manifest there is; FILE_UNAVAILABLE where no manifest is whole; STORAGE_UNAVAILABLE where no bucket answers.
 */
export async function recoverFile(
  deps: RecoveryDeps,
  hash: string,
  password: string,
): Promise<RecoveredFile> {
  if (!HASH.test(hash)) throw new VaultError("INVALID_HASH", "malformed hash", { field: "hash" });
  const found = await findManifests(deps, hash);
  const [newest] = found;
  if (!newest)
    throw new VaultError("NOT_FOUND", `no manifest of ${hash} in these buckets`, { field: "hash" });
  // By the newest alone: an older one may open with a password that was changed since.
  const dek = await dekOf(newest.head, password, deps.pepper);
  if (!dek) throw new VaultError("WRONG_PASSWORD", `file ${hash}`, { field: "password" });
  for (const { bucket, objectKey, head } of found) {
    const body = await openWhole(deps, { bucket, objectKey, head }, dek);
    if (!body) continue;
    const core = decodeCore(head.core);
    const buckets = new Map([...body.buckets].map(([id, name]) => [id, new Wherever(name, deps.buckets)]));
    const port = (id: number) => buckets.get(id) ?? new Wherever(`bucket ${id}`, deps.buckets);
    return {
      meta: openMeta(dek, core.fileId, body.meta),
      revision: head.revision,
      body: bodyOfCore(core, body.profile, dek),
      chunkMap: new ManifestMap({ core, body, mapKey: mapKey(dek), bucketOf: port }),
      buckets: { port },
    };
  }
  throw new VaultError("FILE_UNAVAILABLE", `every manifest of ${hash} is damaged`);
}

/** All manifests of the file whose head opens, the newest first. */
async function findManifests(deps: RecoveryDeps, hash: string): Promise<Found[]> {
  const answers = await Promise.allSettled(deps.buckets.map(bucket => findIn(deps, bucket, hash)));
  const failures = answers.filter(answer => answer.status === "rejected");
  for (const { reason } of failures) {
    if (!(reason instanceof BucketError)) throw reason;
    deps.log.warn("a bucket does not answer, the others may do", { reason: reason.message });
  }
  if (failures.length === deps.buckets.length) {
    throw new VaultError("STORAGE_UNAVAILABLE", "no bucket answers", { cause: failures[0]?.reason });
  }
  const found = answers.flatMap(answer => (answer.status === "fulfilled" ? answer.value : []));
  return found.sort((a, b) => b.head.revision - a.head.revision);
}

async function findIn({ log }: RecoveryDeps, bucket: Bucket, hash: string): Promise<Found[]> {
  const found: Found[] = [];
  for (const objectKey of await manifestKeysIn(bucket, hash)) {
    try {
      const object = await readManifest(bucket, objectKey);
      if (object) found.push({ bucket, objectKey, head: openHead(hash, objectKey, object) });
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      log.warn("a manifest is damaged", { bucket: bucket.name, objectKey, reason: error.message });
    }
  }
  return found;
}

async function dekOf(
  { core, wrap }: ManifestHead,
  password: string,
  pepper: Uint8Array | null,
): Promise<Uint8Array | null> {
  const { fileId } = decodeCore(core);
  const params = decodePasswordParams(wrapParams(wrap, "password"));
  if (params.pepperId !== 0 && !pepper) {
    throw new VaultError("BAD_REQUEST", "the password was stored with a pepper: PEPPER must be set");
  }
  const secret = params.pepperId === 0 ? undefined : (pepper ?? undefined);
  const ikm = await passwordKey(password, params, fileId, secret);
  return unwrapDek({ kind: "password", record: wrap, ikm, fileId });
}

/** The body of one copy; null where it is damaged, or cannot be read any more. */
async function openWhole(
  deps: RecoveryDeps,
  { bucket, objectKey, head }: Found,
  dek: Uint8Array,
): Promise<ManifestBody | null> {
  try {
    const object = await readManifest(bucket, objectKey);
    if (!object) throw new BucketError("unavailable", `object ${objectKey} is missing`);
    const body = openBody(mapKey(dek), objectKey, object, head.core);
    if (!checkSeal(dek, head.core, body.seal)) throw new FormatError("the seal is not of this core and key");
    return body;
  } catch (error) {
    if (!(error instanceof FormatError || error instanceof BucketError)) throw error;
    deps.log.warn("a manifest is damaged", { bucket: bucket.name, objectKey, reason: error.message });
    return null;
  }
}
