/** Buckets that are drained while replicas are killed, by commands that are killed as well. */
import { setTimeout as sleep } from "node:timers/promises";
import { BucketsDocument, UpdateBucketDocument } from "../generated/graphql.js";
import { ask } from "../api/graphql/client.js";
import type { Installation } from "../support/process.js";

const ADMIN = { Authorization: "Bearer admin-token-of-the-tests" };
/** At first: most of it is the start of the command. */
const MAX_LIFE_MS = 4_000;
const MAX_PAUSE_MS = 6_000;

export class Drainer {
  /** How many drains had begun when they were killed. */
  count = 0;

  /** `insist` asks one replica after the other until one answers. */
  constructor(
    private readonly at: Installation,
    private readonly env: Readonly<Record<string, string>>,
    private readonly insist: <T>(ask: (url: string) => Promise<T>) => Promise<T>,
    private readonly random: () => number,
  ) {}

  async live(isOver: () => boolean): Promise<void> {
    let maxLifeMs = MAX_LIFE_MS;
    while (!isOver()) {
      const buckets = await this.#buckets();
      const bucket = buckets[Math.floor(this.random() * buckets.length)];
      if (!bucket) continue;
      const drain = this.at.begin(["drain", bucket.name], this.env);
      await sleep(this.random() * maxLifeMs);
      await drain.kill("SIGKILL");
      if ((await this.#stateOf(bucket.id)) === "DRAINING") this.count++;
      else if (this.count === 0) maxLifeMs *= 1.5; // on a slow machine a start takes longer
      await this.#activate(bucket.id);
      await sleep(this.random() * MAX_PAUSE_MS);
    }
  }

  #buckets() {
    return this.insist(async url => (await ask(url, BucketsDocument, {}, ADMIN)).data?.buckets ?? []);
  }

  async #stateOf(bucketId: string): Promise<string | undefined> {
    return (await this.#buckets()).find(({ id }) => id === bucketId)?.state;
  }

  /** Throws what a replica says that was killed meanwhile, so that another is asked. */
  #activate(id: string): Promise<void> {
    return this.insist(async url => {
      const input = { id, state: "ACTIVE" } as const;
      const { data } = await ask(url, UpdateBucketDocument, { input }, ADMIN);
      if (data?.updateBucket.bucket?.state !== "ACTIVE") throw new Error("not active again");
    });
  }
}
