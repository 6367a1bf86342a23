import { rm } from "node:fs/promises";
import type { TestRun } from "./global-setup.js";

export default async function teardown(): Promise<void> {
  const { testDatabase } = globalThis as TestRun;
  await testDatabase?.server.stop();
  if (testDatabase) await rm(testDatabase.folder, { recursive: true, force: true });
}
