/** Every process that a run starts, so that none outlives it. */
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";

const HERE = import.meta.dirname;
const STOP_MS = 60_000;
const running = new Set();

/** Starts Node with `args`; what it prints goes to `output`, a file descriptor. */
export function startNode(args, { env = {}, output }) {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", output, output],
  });
  return remember(child);
}

/** Has a client process of its own do one task. */
export async function runClient(task) {
  const child = remember(fork(join(HERE, "client.mjs")));
  await once(child, "spawn");
  const answer = await new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", code => reject(new Error(`the client ended with ${code}`)));
    child.send(task);
  });
  await stop(child);
  if (answer.error) throw new Error(`${task.task}: ${answer.error}`);
  return answer.value;
}

export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const tooLate = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  child.kill("SIGTERM");
  await exited;
  clearTimeout(tooLate);
}

export async function stopAll() {
  await Promise.all([...running].map(stop));
}

/** Resolves when `url` answers, be it that there is nothing (a server not yet ready says 503); throws when the process ends before. */
export async function isUp(child, url) {
  for (let tries = 0; tries < 1200; tries++) {
    if (child.exitCode !== null)
      throw new Error(`the server ended with ${child.exitCode} before it was ready`);
    const answer = await fetch(url).catch(() => null);
    await answer?.body?.cancel();
    if (answer && answer.status < 500) return;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error(`${url} did not become ready in two minutes`);
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function remember(child) {
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}
