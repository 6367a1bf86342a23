/** A folder far away: each call takes its time, and a new bucket needs hundreds. */
import * as system from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { Registry } from "prom-client";
import { parseBucketUrls } from "../../src/buckets/spec.js";

/** Where the call for a subfolder never returns. */
const HUNG = "hung";

jest.unstable_mockModule("node:fs/promises", () => ({
  ...system,
  mkdir: async (...call: Parameters<typeof system.mkdir>) => {
    await sleep(4);
    if (String(call[0]).includes(join(HUNG, "7f"))) await new Promise(() => {});
    return await system.mkdir(...call);
  },
}));
const { DEFAULT_POLICY, openBuckets } = await import("../../src/buckets/open.js");

let folder: string;
beforeAll(async () => {
  folder = await system.mkdtemp(join(tmpdir(), "slow-disk-"));
});
afterAll(() => system.rm(folder, { recursive: true }));

test("a new folder is opened however long it takes as long as it answers, and given up when it does not", async () => {
  const paths = ["slow", HUNG].map(name => join(folder, name));
  const urls = paths.map(path => pathToFileURL(path).href).join(",");
  const policy = { ...DEFAULT_POLICY, deadline: { baseMs: 1000, perMiBMs: 0 } };
  const opened = await openBuckets(parseBucketUrls(urls), { registry: new Registry(), policy });
  expect(opened.map(({ problem }) => problem?.message ?? null)).toEqual([
    null,
    expect.stringContaining("opening: no answer in 1000 ms"),
  ]);
  expect(await system.readdir(paths[0] ?? "")).toHaveLength(257);
});
