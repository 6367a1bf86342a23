/** The life of stored files while replicas are killed: damaged, verified, given another password, deleted. */
import { rm } from "node:fs/promises";
import { objectsOf } from "../process/remains.js";
import { post } from "../api/graphql/client.js";
import type { Installation } from "../support/process.js";
import { bytesOf } from "../support/vault.js";
import { begin, download, head, PASSWORD, patch } from "./client.js";

const ADMIN = { Authorization: "Bearer admin-token-of-the-tests" };
const LENGTH = 90_000;
const CHUNK_BYTES = 16 * 1024;

interface Kept {
  readonly plain: Uint8Array;
  /** A change whose answer was lost may have been made, or not. */
  readonly passwords: readonly string[];
}

interface Verified {
  readonly verifyFile: { readonly file: { readonly status: string } | null };
}
interface Changed {
  readonly changeFilePassword: { readonly userErrors: readonly { readonly code: string }[] };
}
interface Deleted {
  readonly deleteFile: {
    readonly deletedHash: string | null;
    readonly userErrors: readonly { readonly code: string }[];
  };
}

export class Keeper {
  readonly #kept = new Map<string, Kept>();
  readonly #deleted: string[] = [];

  /** `insist` asks one replica after the other until one answers. */
  constructor(
    private readonly at: Installation,
    private readonly insist: <T>(ask: (url: string) => Promise<T>) => Promise<T>,
    private readonly random: () => number,
  ) {}

  get fileCount(): number {
    return this.keptCount + this.#deleted.length;
  }

  get keptCount(): number {
    return this.#kept.size;
  }

  async live(isOver: () => boolean): Promise<void> {
    for (let round = 0; !isOver(); round++) {
      const plain = bytesOf(LENGTH, 1_000_000 + round);
      const hash = await this.#store(plain);
      await this.#loseObject(hash);
      await this.#verify(hash);
      this.#kept.set(hash, { plain, passwords: await this.#changePassword(hash, `another ${round}`) });
      if (round % 2 === 1) await this.#delete(hash);
    }
  }

  /** Throws for the first file that is not what it has to be, the deleted ones included. */
  async check(url: string): Promise<void> {
    await this.checkKept(url);
    for (const hash of this.#deleted) {
      const { status } = await fetch(`${url}/api/retrieve/${hash}?password=whatever`);
      if (status !== 410) throw new Error(`${hash} was deleted, and is answered with ${status}`);
    }
  }

  async checkKept(url: string): Promise<void> {
    for (const [hash, { plain, passwords }] of this.#kept) {
      const opened = await Promise.allSettled(passwords.map(password => download(url, hash, password)));
      const [bytes] = opened.flatMap(result => (result.status === "fulfilled" ? [result.value] : []));
      if (!bytes) throw new Error(`${hash} opens with none of its passwords: ${JSON.stringify(opened)}`);
      if (Buffer.compare(bytes, plain) !== 0) throw new Error(`${hash} is not what it was`);
    }
  }

  async #store(plain: Uint8Array): Promise<string> {
    const path = await this.insist(url => begin(url, plain.length, CHUNK_BYTES));
    for (;;) {
      const { offset, hash } = await this.insist(url => head(url, path));
      if (hash !== null) return hash;
      await this.insist(url => patch(url, path, offset, plain.subarray(offset)).catch(() => null));
    }
  }

  /** One of the file's objects, as a disk would lose it. */
  async #loseObject(hash: string): Promise<void> {
    const objects = await objectsOf(this.at, hash);
    const lost = objects[Math.floor(this.random() * objects.length)];
    if (lost) await rm(lost.path);
  }

  async #verify(hash: string): Promise<void> {
    const query = "mutation ($hash: Sha256!) { verifyFile(input: { hash: $hash }) { file { status } } }";
    for (let status = ""; status !== "AVAILABLE"; ) {
      status = await this.insist(async url => {
        const { data } = await post<Verified>(url, { query, variables: { hash } }, ADMIN);
        return data?.verifyFile.file?.status ?? "";
      });
    }
  }

  async #changePassword(hash: string, newPassword: string): Promise<string[]> {
    const query = `mutation ($input: ChangeFilePasswordInput!) {
      changeFilePassword(input: $input) { userErrors { code } } }`;
    const input = { hash, currentPassword: PASSWORD, newPassword };
    return this.insist(url =>
      post<Changed>(url, { query, variables: { input } }).then(
        ({ data }) =>
          data?.changeFilePassword.userErrors.length === 0 ? [newPassword] : [PASSWORD, newPassword],
        () => [PASSWORD, newPassword],
      ),
    );
  }

  async #delete(hash: string): Promise<void> {
    const query = `mutation ($hash: Sha256!) {
      deleteFile(input: { hash: $hash }) { deletedHash userErrors { code } } }`;
    for (let isGone = false; !isGone; ) {
      isGone = await this.insist(async url => {
        const { data } = await post<Deleted>(url, { query, variables: { hash } }, ADMIN);
        const { deletedHash, userErrors } = data?.deleteFile ?? { deletedHash: null, userErrors: [] };
        return deletedHash === hash || userErrors.some(({ code }) => code === "FILE_GONE");
      });
    }
    this.#kept.delete(hash);
    this.#deleted.push(hash);
  }
}
