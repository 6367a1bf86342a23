/**
 * Reads for all the things of a page at once what each of them asks for, so that a page of a hundred costs as many
 * statements as a page of one. One instance a request.
 */
import DataLoader from "dataloader";
import type { ChunkListFilter, ChunkView, MappedFile, Page, PageRequest } from "../../core/catalogue.js";
import type { BucketId, BucketRecord, StoredFile } from "../../core/model.js";
import type { ApiDeps } from "../deps.js";

type LoaderDeps = Pick<ApiDeps, "lookup" | "chunkCatalogue" | "bucketDirectory">;

/** Batched, not kept: a mutation of the same request may change what it reads. */
const BATCHED = { cache: false } as const;

export class Loaders {
  #buckets: Promise<ReadonlyMap<BucketId, BucketRecord>> | undefined;
  readonly #chunkPages = new Map<string, DataLoader<MappedFile, Page<ChunkView>>>();

  /** By hash; null for none. */
  readonly files: DataLoader<string, StoredFile | null>;

  constructor(private readonly deps: LoaderDeps) {
    this.files = new DataLoader(hashes => deps.lookup.files({ hashes }), BATCHED);
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

  /** Files that are asked for the same page of their chunk maps are read together. */
  chunks(file: MappedFile, page: PageRequest, filter: ChunkListFilter): Promise<Page<ChunkView>> {
    const question = JSON.stringify([page, filter]);
    const loader =
      this.#chunkPages.get(question) ??
      new DataLoader(files => this.deps.chunkCatalogue.pages(files, page, filter), BATCHED);
    this.#chunkPages.set(question, loader);
    return loader.load(file);
  }
}
