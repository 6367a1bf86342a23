import type { Log } from "../../src/core/ports.js";

/** For tests that look at what happens, not at what is said of it. */
export const silent: Log = { info: () => {}, warn: () => {}, error: () => {} };
