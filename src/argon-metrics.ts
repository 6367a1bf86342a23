/** What Argon2id costs and whom it turns away, for Prometheus. */
import type { Registry } from "prom-client";
import { Counter, Gauge } from "prom-client";
import type { ArgonCounts, ArgonRuns } from "./core/argon-runs.js";

const COUNTERS: Partial<Record<keyof ArgonCounts, string>> = {
  runs: "Passwords hashed.",
  seconds: "Seconds that hashing passwords took, all together.",
  rejected: "Passwords not hashed because too many waited already.",
};
const GAUGES: Partial<Record<keyof ArgonCounts, string>> = {
  running: "Passwords being hashed.",
  waiting: "Passwords that wait to be hashed.",
};

/** Registers `scattervault_argon2_*`, read from `argon` whenever they are asked for. */
export function meterArgon(registry: Registry, argon: Pick<ArgonRuns, "counts">): void {
  const registers = [registry];
  for (const [name, help] of entries(COUNTERS)) {
    const collect = function (this: Counter) {
      this.reset();
      this.inc(argon.counts[name]);
    };
    new Counter({ name: `scattervault_argon2_${name}_total`, help, registers, collect });
  }
  for (const [name, help] of entries(GAUGES)) {
    const collect = function (this: Gauge) {
      this.set(argon.counts[name]);
    };
    new Gauge({ name: `scattervault_argon2_${name}`, help, registers, collect });
  }
}

function entries(helps: Partial<Record<keyof ArgonCounts, string>>): [keyof ArgonCounts, string][] {
  return Object.entries(helps) as [keyof ArgonCounts, string][];
}
