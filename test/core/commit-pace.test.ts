/** How long an append waits before it commits what it has stored so far. */
import { expect, test } from "@jest/globals";
import { CommitPace } from "../../src/core/commits.js";

test.each([
  ["alone", { appends: 1, lastCommitMs: 0 }, 200],
  ["beside others: all of them together commit five times a second", { appends: 4, lastCommitMs: 0 }, 800],
  [
    "beside many: a killed process loses two seconds of each at most",
    { appends: 32, lastCommitMs: 0 },
    2_000,
  ],
  [
    "where the database is slow: a fortieth of the time is for commits",
    { appends: 1, lastCommitMs: 20 },
    800,
  ],
  ["where the database hardly answers", { appends: 1, lastCommitMs: 9_000 }, 2_000],
])("%s", (_, { appends, lastCommitMs }, expected) => {
  const pace = new CommitPace();
  for (let i = 0; i < appends; i++) pace.begin();
  expect(pace.delayMs(lastCommitMs)).toBe(expected);
});

test("those that have ended do not count", () => {
  const pace = new CommitPace();
  for (let i = 0; i < 9; i++) pace.begin();
  for (let i = 0; i < 8; i++) pace.end();
  expect(pace.delayMs(0)).toBe(200);
});
