/**
 * `postmaster.pid`, PostgreSQL's own lock on a data directory, as PostgreSQL writes it: line 1 is the process, line 5
 * the socket folder. It is the truth about who serves a cluster, across all our processes and their crashes.
 */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Postmaster {
  readonly pid: number;
  /** Null if the server was told to have none. */
  readonly socketDir: string | null;
}

/** A process id that no kernel gives out. */
const NOBODY = 2 ** 31 - 1;

/** The socket folder is on line 5. */
const LINES_AT_LEAST = 5;

/** The live server of a cluster, or null. */
export async function livePostmaster(clusterDir: string): Promise<Postmaster | null> {
  const file = join(clusterDir, "postmaster.pid");
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const lines = text.split("\n");
  const pid = Number(lines[0]);
  // Fewer lines: its owner is writing it at this moment. What is not yet readable must not be taken for stale.
  if (lines.length < LINES_AT_LEAST || !Number.isSafeInteger(pid) || pid <= 0 || pid === NOBODY) return null;
  if (await isPostgres(pid)) return { pid, socketDir: lines[4] || null };
  await disown(file, text);
  return null;
}

/** Whether the process lives and is a PostgreSQL. A zombie does not count: it only waits for its parent. */
export async function isPostgres(pid: number): Promise<boolean> {
  const [state, name] = process.platform === "linux" ? await linuxProcess(pid) : await otherProcess(pid);
  return name === "postgres" && !state.startsWith("Z");
}

/**
 * Makes a stale lock visibly stale. PostgreSQL asks only whether the process id exists, and refuses to start while the
 * dead server is a zombie, or when a reboot gave its number to another program. The file is not removed: it names the
 * shared memory too, by which PostgreSQL sees whether a backend of the dead server still lives.
 */
async function disown(file: string, seen: string): Promise<void> {
  const now = await readFile(file, "utf8").catch(() => "");
  if (now === seen) await writeFile(file, [NOBODY, ...seen.split("\n").slice(1)].join("\n"), { flag: "r+" });
}

type ProcessFacts = readonly [state: string, name: string];

const NO_PROCESS: ProcessFacts = ["", ""];

/** From /proc: images have no `ps`. The name stands in parentheses and may itself contain some. */
async function linuxProcess(pid: number): Promise<ProcessFacts> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const facts = /\((.*)\) (\S)/s.exec(text);
  return facts ? [facts[2] ?? "", facts[1] ?? ""] : NO_PROCESS;
}

async function otherProcess(pid: number): Promise<ProcessFacts> {
  const answer = await promisify(execFile)("ps", ["-o", "stat=,comm=", "-p", String(pid)]).catch(() => null);
  const facts = /^(\S+)\s+(?:.*\/)?(\S+)/.exec(answer?.stdout.trim() ?? "");
  return facts ? [facts[1] ?? "", facts[2] ?? ""] : NO_PROCESS;
}
