/** Jest over native ES modules: @swc/jest strips types and lowers decorators, nothing else (TypeScript 7 has no JS API). */

/** What has the machine to itself: several servers under load, or a measure of memory. */
const ALONE = ["/test/chaos/(kills|races)\\.", "/test/process/(admission|database-cut|killed|memory)\\."];

const shared = {
  testEnvironment: "node",
  roots: ["<rootDir>/test"],
  globalSetup: "<rootDir>/test/support/global-setup.ts",
  globalTeardown: "<rootDir>/test/support/global-teardown.ts",
  extensionsToTreatAsEsm: [".ts"],
  moduleNameMapper: { "^(\\.{1,2}/.*)\\.js$": "$1" },
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      {
        jsc: {
          target: "es2024",
          parser: { syntax: "typescript", decorators: true },
          transform: { legacyDecorator: true, useDefineForClassFields: false },
          keepClassNames: true,
        },
        module: { type: "es6" },
        sourceMaps: "inline",
      },
    ],
  },
};

export default {
  testTimeout: 120_000,
  // More files at a time than a small machine has processors, since much of the time is spent waiting. In processes that are
  // replaced when they have grown, since what modules hold is never given back.
  maxWorkers: 3,
  workerIdleMemoryLimit: "1GB",
  testSequencer: "<rootDir>/test/support/sequencer.cjs",
  projects: [
    {
      ...shared,
      displayName: "parts",
      testMatch: ["**/*.test.ts"],
      testPathIgnorePatterns: [...ALONE, "/node_modules/"],
    },
    {
      ...shared,
      displayName: "processes",
      testRegex: ALONE.map(path => `${path}.*test\\.ts$`),
      runner: "<rootDir>/test/support/serial-runner.cjs",
    },
  ],
};
