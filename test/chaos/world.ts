/**
 * What a simulation knows of the files and uploads that there must be, and the steps by which it changes them: over core with
 * a real database and six memory buckets that lose, falsify and refuse. Everything it chooses comes from its random numbers.
 */
import { BucketError, VaultError } from "../../src/core/errors.js";
import type { ObjectRef } from "../../src/core/model.js";
import { repair } from "../../src/core/repair.js";
import { scrub } from "../../src/core/scrub.js";
import type { Vault } from "../support/vault.js";
import { UNPACED, bytesOf, pieces } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const MAX_FILE_BYTES = 6000;
const MAX_FILES = 3;
const MAX_UPLOADS = 2;

interface File {
  readonly hash: string;
  readonly id: string;
  readonly plain: Uint8Array;
  password: string;
  /** Keys of objects that were lost or falsified, and not yet made again. */
  readonly harmed: Set<string>;
}

interface Upload {
  readonly token: string;
  readonly plain: Uint8Array;
  readonly password: string;
  acknowledged: number;
}

export class World {
  readonly #files: File[] = [];
  readonly #uploads: Upload[] = [];
  readonly #deleted: string[] = [];
  /** Indexes of buckets that do not answer, and of those whose next call may fail. */
  readonly #away = new Set<number>();
  readonly #stumbling = new Set<number>();
  #count = 0;

  constructor(
    private readonly vault: Vault,
    private readonly random: () => number,
    private readonly seed: number,
  ) {}

  /** Makes one step that is possible now, after saying which. */
  async step(say: (name: string) => void): Promise<void> {
    const possible = Object.entries(this.#steps).filter(([, { when }]) => when());
    const [name, { act }] = this.#oneOf(possible);
    say(name);
    await act();
  }

  /** Throws for the first thing that is not as it must be. */
  async check(): Promise<void> {
    for (const upload of this.#uploads) {
      const { offset } = await this.vault.uploads.find(upload.token);
      if (offset < upload.acknowledged)
        throw new Error(`${upload.acknowledged} acknowledged, ${offset} kept`);
    }
    const file = this.#files.length > 0 ? this.#oneOf(this.#files) : null;
    if (file) await this.#read(file, 0, file.plain.length);
  }

  /** All buckets are back: everything is made whole, read once more, and taken away; then nothing may be left. */
  async end(): Promise<void> {
    this.#comeBack();
    for (const upload of [...this.#uploads]) {
      await this.#append(upload, upload.plain.length);
      await this.#finish(upload);
    }
    for (const file of this.#files) {
      const { file: after } = await this.vault.verifier.verify(file.hash, this.vault.caller, UNPACED);
      if (after.status !== "available") throw new Error(`${file.hash} is ${after.status} at the end`);
      await this.#read(file, 0, file.plain.length);
    }
    for (const file of [...this.#files]) await this.#delete(file);
    for (const hash of this.#deleted) {
      const status = (await this.vault.files.find(hash))?.status;
      if (status !== "gone") throw new Error(`${hash} was deleted, and is ${status}`);
    }
    await this.#known(() => this.vault.letTimePass());
    await this.vault.sweep();
    const left = await this.vault.objects();
    if (left.length > 0) throw new Error(`${left.length} objects are left that no file has`);
  }

  readonly #steps: Record<string, { when: () => boolean; act: () => Promise<void> }> = {
    "begin an upload": {
      when: () => this.#uploads.length < MAX_UPLOADS && this.#files.length < MAX_FILES,
      act: async () => {
        const plain = bytesOf(this.#upTo(MAX_FILE_BYTES), this.seed * 100 + this.#count++);
        const password = `password ${this.#count}`;
        const options = { length: plain.length, chunkBytes: CHUNK_BYTES, password };
        const { token } = await this.vault.begin(options);
        this.#uploads.push({ token, plain, password, acknowledged: 0 });
      },
    },
    "send some": {
      when: () => this.#uploads.length > 0,
      act: async () => {
        const upload = this.#oneOf(this.#uploads);
        await this.#append(
          upload,
          upload.acknowledged + this.#upTo(upload.plain.length - upload.acknowledged),
        );
      },
    },
    "send some, and break off": {
      when: () => this.#uploads.length > 0,
      act: () => this.#breakOff(this.#oneOf(this.#uploads)),
    },
    "send the rest, and finish": {
      when: () => this.#uploads.length > 0,
      act: async () => {
        const upload = this.#oneOf(this.#uploads);
        await this.#append(upload, upload.plain.length);
        await this.#finish(upload);
      },
    },
    abandon: {
      when: () => this.#uploads.length === MAX_UPLOADS,
      act: async () => {
        const upload = this.#oneOf(this.#uploads);
        await this.vault.uploads.abandon(upload.token);
        this.#uploads.splice(this.#uploads.indexOf(upload), 1);
      },
    },
    "read a range": {
      when: () => this.#files.length > 0,
      act: () => {
        const file = this.#oneOf(this.#files);
        const start = this.#upTo(file.plain.length);
        return this.#read(file, start, start + this.#upTo(file.plain.length - start));
      },
    },
    "lose or falsify an object": {
      when: () => this.#files.length > 0,
      act: () => this.#harm(this.#oneOf(this.#files)),
    },
    "a bucket goes away": {
      when: () => this.#away.size < 2,
      act: async () => {
        const index = this.#upTo(5);
        if (!(await this.#wouldSurvive({ bucket: index }))) return;
        this.#away.add(index);
        this.vault.faulty[index]?.fail("any");
      },
    },
    "all buckets come back": { when: () => this.#away.size > 0, act: async () => this.#comeBack() },
    "a bucket stumbles": {
      when: () => true,
      act: async () => {
        const index = this.#upTo(5);
        if (!(await this.#wouldSurvive({ bucket: index }))) return;
        this.#stumbling.add(index);
        this.vault.faulty[index]?.fail("any", { times: 1, isDone: this.random() < 0.5 });
      },
    },
    verify: {
      when: () => this.#files.length > 0,
      act: async () => {
        const file = this.#oneOf(this.#files);
        await this.#known(() => this.vault.verifier.verify(file.hash, this.vault.caller, UNPACED));
        await this.#forgetMended();
      },
    },
    scrub: {
      when: () => this.#files.length > 0,
      act: async () => {
        await this.#known(() => scrub(this.vault.scrubbable, { ...UNPACED, repairsUnreadable: false }));
        await this.#forgetMended();
      },
    },
    repair: {
      when: () => this.#files.length > 0,
      act: async () => {
        await this.#known(() => repair(this.vault.scrubbable, UNPACED));
        await this.#forgetMended();
      },
    },
    "change a password": {
      when: () => this.#files.length > 0,
      act: async () => {
        const file = this.#oneOf(this.#files);
        const change = {
          currentPassword: file.password,
          newPassword: `another ${this.#count++}`,
          revokeLinks: false,
        };
        await this.vault.files.changePassword(file.hash, change, this.vault.caller);
        file.password = change.newPassword;
      },
    },
    "delete a file": {
      when: () => this.#files.length > 0,
      act: () => this.#delete(this.#oneOf(this.#files)),
    },
    "time passes, and the sweep comes": {
      when: () => true,
      act: async () => {
        await this.#known(() => this.vault.letTimePass());
        await this.#known(() => this.vault.sweep());
      },
    },
  };

  async #append(upload: Upload, end: number): Promise<void> {
    await this.#known(async () => {
      const { offset } = await this.vault.uploads.find(upload.token);
      const source = pieces(upload.plain.subarray(offset, end), 700);
      upload.acknowledged = await this.vault.uploads.append(upload.token, offset, source, {
        lastByte: "by-length",
      });
    });
  }

  async #breakOff(upload: Upload): Promise<void> {
    const { offset } = await this.vault.uploads.find(upload.token);
    const end = offset + this.#upTo(upload.plain.length - offset);
    const breaking = async function* () {
      yield* pieces(upload.plain.subarray(offset, end), 700);
      throw new ClientGone();
    };
    const options = { lastByte: "by-length" } as const;
    await this.#known(async () => {
      const ending = await this.vault.uploads
        .append(upload.token, offset, breaking(), options)
        .catch((error: unknown) => error);
      if (!(ending instanceof ClientGone) && typeof ending !== "number") throw ending;
      const kept = (await this.vault.uploads.find(upload.token)).offset;
      const isHealthy = this.#away.size + this.#stumbling.size === 0; // or what could not be stored is lost as well
      if (kept !== end && isHealthy)
        throw new Error(`${end} bytes came before the client was gone, ${kept} were kept`);
      upload.acknowledged = kept;
    });
  }

  async #finish(upload: Upload): Promise<void> {
    const file = await this.#known(() => this.vault.uploads.finish(upload.token));
    if (!file) return;
    this.#uploads.splice(this.#uploads.indexOf(upload), 1);
    const { hash, id } = file;
    this.#files.push({ hash, id, plain: upload.plain, password: upload.password, harmed: new Set() });
  }

  async #read({ hash, password, plain }: File, start: number, end: number): Promise<void> {
    const received = await this.vault.read(hash, password, { start, end });
    if (Buffer.compare(received, plain.subarray(start, end)) !== 0) throw new Error(`${hash}: wrong bytes`);
  }

  async #delete(file: File): Promise<void> {
    await this.vault.files.delete(file.hash, null, this.vault.caller);
    this.#files.splice(this.#files.indexOf(file), 1);
    this.#deleted.push(file.hash);
  }

  async #harm(file: File): Promise<void> {
    const row = this.#oneOf(await this.vault.chunkMap.chunks(file.id, 0, 100));
    if (file.harmed.has(row.objectKey) || this.#isAway(row)) return;
    if (!(await this.#wouldSurvive({ object: row.objectKey }))) return;
    const object = await this.#known(() => this.vault.object(row));
    if (!object) return;
    file.harmed.add(row.objectKey);
    const falsified = object.with(this.#upTo(object.length - 1), this.#upTo(255));
    const harm = this.#oneOf([null, object.subarray(1), falsified]);
    await this.#known(() => this.vault.replace(row, harm));
  }

  /**
   * Whether no stripe, of an open upload neither, would be without more of its chunks than it has of parity, with this bucket
   * away or this object harmed as well.
   */
  async #wouldSurvive({ bucket, object }: { bucket?: number; object?: string }): Promise<boolean> {
    const failing = new Set([...this.#away, ...this.#stumbling, ...(bucket === undefined ? [] : [bucket])]);
    const away = new Set([...failing].map(index => this.#idOf(index)));
    const stored = await Promise.all([
      ...this.#files.map(async ({ hash, harmed }) => ({ ...(await this.vault.files.require(hash)), harmed })),
      ...this.#uploads.map(async ({ token }) => ({
        ...(await this.vault.uploads.find(token)),
        harmed: null,
      })),
    ]);
    for (const { id, parity, harmed } of stored) {
      const rows = await this.vault.chunkMap.chunks(id, 0, 100);
      const lost = rows.filter(
        row => away.has(row.bucketId) || harmed?.has(row.objectKey) || row.objectKey === object,
      );
      const perStripe = Map.groupBy(lost, ({ stripe }) => stripe);
      if ([...perStripe.values()].some(({ length }) => length > parity.parityChunks)) return false;
    }
    return true;
  }

  /** What no row names any more was made again under another key. */
  async #forgetMended(): Promise<void> {
    for (const { id, harmed } of this.#files) {
      const named = new Set((await this.vault.chunkMap.chunks(id, 0, 100)).map(({ objectKey }) => objectKey));
      for (const key of harmed) if (!named.has(key)) harmed.delete(key);
    }
  }

  #comeBack(): void {
    this.#away.clear();
    this.#stumbling.clear();
    for (const bucket of this.vault.faulty) bucket.heal();
  }

  /** What cannot be done because a bucket is away or stumbled, and says so, may be done later. */
  async #known<T>(act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      const isKnown = error instanceof VaultError ? RETRIED.has(error.code) : error instanceof BucketError;
      if (!isKnown) throw error;
      return undefined;
    }
  }

  #idOf(index: number): number {
    const name = this.vault.faulty[index]?.name;
    return this.vault.buckets.all.find(bucket => bucket.name === name)?.id ?? -1;
  }

  #isAway({ bucketId }: ObjectRef): boolean {
    return [...this.#away].some(index => this.#idOf(index) === bucketId);
  }

  /** 0 … max. */
  #upTo(max: number): number {
    return Math.floor(this.random() * (max + 1));
  }

  #oneOf<T>(things: readonly T[]): T {
    const thing = things[Math.floor(this.random() * things.length)];
    if (thing === undefined) throw new Error("nothing to choose from");
    return thing;
  }
}

class ClientGone extends Error {}

const RETRIED: ReadonlySet<string> = new Set([
  "STORAGE_UNAVAILABLE",
  "FILE_UNAVAILABLE",
  "UPLOAD_INCOMPLETE",
]);
