/** A folder far away: each call takes its time, and a new bucket needs hundreds. */
import * as system from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, expect, jest, test } from "@jest/globals";
import { Registry } from "prom-client";
import { parseBucketUrls } from "../../src/buckets/spec.js";

const DEADLINE_MS = 1000;
/** Where the call for a subfolder never returns. */
const HUNG = "hung";

jest.unstable_mockModule("node:fs/promises", () => ({
  ...system,
  mkdir: async (...call: Parameters<typeof system.mkdir>) => {
    const isHung = String(call[0]).endsWith(join(HUNG, "7f"));
    jest.advanceTimersByTime(isHung ? DEADLINE_MS : 0.9 * DEADLINE_MS);
    return isHung ? await new Promise(() => {}) : await system.mkdir(...call);
  },
}));
const { DEFAULT_POLICY, openBuckets } = await import("../../src/buckets/open.js");

let folder: string;
beforeAll(async () => {
  folder = await system.mkdtemp(join(tmpdir(), "slow-disk-"));
});
afterAll(() => system.rm(folder, { recursive: true }));

// What each call takes is what the mocked clock is moved by.
beforeEach(
  () => void jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate", "performance"] }),
);
afterEach(() => void jest.useRealTimers());

test.each([
  ["slow", null],
  [HUNG, expect.stringContaining(`opening: no answer in ${DEADLINE_MS} ms`)],
])(
  "a new folder that is %s: given up when no answer comes, however long all answers take",
  async (name, said) => {
    const specs = parseBucketUrls(pathToFileURL(join(folder, name)).href);
    const policy = { ...DEFAULT_POLICY, deadline: { baseMs: DEADLINE_MS, perMiBMs: 0 } };
    const [opened] = await openBuckets(specs, { registry: new Registry(), policy });
    expect(opened?.problem?.message ?? null).toEqual(said);
    const made = await system.readdir(join(folder, name));
    expect(made.length).toBe(said === null ? 257 : 1 + 0x7f);
  },
);
