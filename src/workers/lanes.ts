/** Threads that each have a queue of their own: what must stay on one thread has its lane, the rest takes the idlest. */
import { Piscina } from "piscina";

interface Lane {
  readonly pool: Piscina;
  /** Tasks that wait or run. */
  busy: number;
}

export class Lanes<Task, Answer> {
  readonly #lanes: readonly Lane[];

  constructor(program: URL, threads: number) {
    this.#lanes = Array.from({ length: threads }, () => ({
      pool: new Piscina({
        filename: program.href,
        minThreads: 1,
        maxThreads: 1,
        // The next task is there when one is done, however long the event loop takes to hear of it.
        concurrentTasksPerWorker: 2,
      }),
      busy: 0,
    }));
  }

  /** The lane with the least to do. */
  idlest(): Lane {
    return this.#lanes.reduce((idlest, lane) => (lane.busy < idlest.busy ? lane : idlest));
  }

  async run(lane: Lane, task: Task, transferList: ArrayBuffer[]): Promise<Answer> {
    lane.busy++;
    try {
      return await lane.pool.run(task, { transferList });
    } finally {
      lane.busy--;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map(({ pool }) => pool.close()));
  }
}
