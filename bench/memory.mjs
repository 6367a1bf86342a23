/** What Linux says of a process's memory, in bytes. */
import { readFileSync } from "node:fs";

const SAMPLE_MS = 50;

/** The most that was ever resident. */
export function peakBytes(pid) {
  return field(pid, "VmHWM");
}

/** Samples what is resident until `stop`, which gives all samples. */
export function sampleResident(pid) {
  const samples = [field(pid, "VmRSS")];
  const timer = setInterval(() => samples.push(field(pid, "VmRSS")), SAMPLE_MS);
  return {
    stop() {
      clearInterval(timer);
      return samples;
    },
  };
}

function field(pid, name) {
  const [, kib] =
    new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  if (kib === undefined) throw new Error(`no ${name} of process ${pid}`);
  return Number(kib) * 1024;
}
