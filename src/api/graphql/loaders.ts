/**
 * Reads for all the things of a page at once what each of them asks for, so that a page of a hundred costs as many
 * statements as a page of one. One instance a request.
 */
import DataLoader from "dataloader";
import type { AuditPage } from "../../core/audit.js";
import type {
  BucketShare,
  BucketUsage,
  ChunkListFilter,
  ChunkView,
  MappedFile,
  Page,
  PageRequest,
} from "../../core/catalogue.js";
import type { BucketId, BucketRecord, Grant, ParityProfile, StoredFile } from "../../core/model.js";
import type { FileId } from "../../format/id.js";
import type { ApiDeps } from "../deps.js";
import { badRequest } from "../errors.js";

type LoaderDeps = Pick<
  ApiDeps,
  "lookup" | "catalogue" | "chunkCatalogue" | "linkCatalogue" | "bucketDirectory" | "auditTrail"
>;

/**
 * The longest chunk maps that one batch sums up: about three seconds of the database's time. Beyond it the answer
 * would come too late for whoever draws it.
 */
const MAX_MAPPED_CHUNKS = 8_000_000;
/** Ranges that the share of a file is told in, over all buckets: enough for each pixel of a picture. */
const MAX_RANGES = 2048;
const MIN_RANGES_PER_BUCKET = 16;

/** A file whose map is summed up, and how many data chunks it has. */
export interface MappedFileSize extends MappedFile {
  readonly chunkCount: number;
}

/** Batched, not kept: a mutation of the same request may change what it reads. */
const BATCHED = { cache: false } as const;

export class Loaders {
  #buckets: Promise<ReadonlyMap<BucketId, BucketRecord>> | undefined;
  readonly #linkPages = new Map<string, DataLoader<FileId, Page<Grant>>>();
  readonly #chunkPages = new Map<string, DataLoader<MappedFile, Page<ChunkView>>>();
  readonly #auditPages = new Map<string, DataLoader<FileId, AuditPage>>();

  readonly #shares: Record<"inSum" | "withRanges", DataLoader<MappedFileSize, readonly BucketShare[]>>;
  #usage: Promise<readonly BucketUsage[]> | undefined;

  /** By hash; null for none. */
  readonly files: DataLoader<string, StoredFile | null>;

  constructor(private readonly deps: LoaderDeps) {
    this.files = new DataLoader(hashes => deps.lookup.files({ hashes }), BATCHED);
    this.#shares = {
      inSum: new DataLoader(files => this.#sharesOf(files, 1), BATCHED),
      withRanges: new DataLoader(async files => this.#sharesOf(files, await this.#maxRanges()), BATCHED),
    };
  }

  /** All of them, read once. */
  buckets(): Promise<ReadonlyMap<BucketId, BucketRecord>> {
    this.#buckets ??= this.deps.bucketDirectory
      .list()
      .then(records => new Map(records.map(record => [record.id, record])));
    return this.#buckets;
  }

  /** Throws where the chunk map names a bucket that has no row: a bug. */
  async bucket(id: BucketId): Promise<BucketRecord> {
    const bucket = (await this.buckets()).get(id);
    if (!bucket) throw new Error(`bucket ${id} has no row`);
    return bucket;
  }

  chunks(file: MappedFile, page: PageRequest, filter: ChunkListFilter): Promise<Page<ChunkView>> {
    return together(this.#chunkPages, [page, filter], files =>
      this.deps.chunkCatalogue.pages(files, page, filter),
    ).load(file);
  }

  links({ id }: StoredFile, page: PageRequest): Promise<Page<Grant>> {
    return together(this.#linkPages, page, fileIds => this.deps.linkCatalogue.pages(fileIds, page)).load(id);
  }

  /** Newest first, those before entry `before` where it is given. */
  auditEvents({ id }: StoredFile, limit: number, before: number | null): Promise<AuditPage> {
    return together(this.#auditPages, [limit, before], fileIds =>
      this.deps.auditTrail.pagesOf(fileIds, limit, before),
    ).load(id);
  }

  /** How a file lies in its buckets; without `ranges` these are one that spans them all, and cost nothing. */
  shares(file: MappedFileSize, { ranges }: { ranges: boolean }): Promise<readonly BucketShare[]> {
    return this.#shares[ranges ? "withRanges" : "inSum"].load(file);
  }

  /** What each bucket holds, read once. */
  usage(): Promise<readonly BucketUsage[]> {
    this.#usage ??= this.deps.catalogue.usage();
    return this.#usage;
  }

  async #sharesOf(files: readonly MappedFileSize[], maxRanges: number) {
    const chunks = files.reduce((sum, { parity, chunkCount }) => sum + allChunks(chunkCount, parity), 0);
    if (chunks > MAX_MAPPED_CHUNKS) {
      throw badRequest(
        `Chunk maps of over ${MAX_MAPPED_CHUNKS} chunks are not summed up at once: ask for fewer files.`,
      );
    }
    return this.deps.chunkCatalogue.shares(files, maxRanges);
  }

  async #maxRanges(): Promise<number> {
    const { size } = await this.buckets();
    return Math.max(MIN_RANGES_PER_BUCKET, Math.floor(MAX_RANGES / size));
  }
}

/** Data and parity. */
function allChunks(chunkCount: number, { dataChunks, parityChunks }: ParityProfile): number {
  return chunkCount + Math.ceil(chunkCount / dataChunks) * parityChunks;
}

/** The loader of those that are asked the same `question`, such as for the same page of their chunk maps. */
function together<Key, Answer>(
  loaders: Map<string, DataLoader<Key, Answer>>,
  question: unknown,
  read: (keys: readonly Key[]) => Promise<readonly Answer[]>,
): DataLoader<Key, Answer> {
  const text = JSON.stringify(question);
  const loader = loaders.get(text) ?? new DataLoader(read, BATCHED);
  loaders.set(text, loader);
  return loader;
}
