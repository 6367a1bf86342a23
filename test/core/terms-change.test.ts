import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { StoredFile } from "../../src/core/model.js";
import type { TermsChange } from "../../src/core/terms-change.js";
import { changedTerms } from "../../src/core/terms-change.js";

const NOW = new Date("2026-11-25T12:00:00Z");
const MAX_SECONDS = 3600;
const CONTEXT = { now: NOW, limits: { maxExpiresInSeconds: MAX_SECONDS } };
const at = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);

const FILE = { id: "f", status: "available", downloadCount: 3, isRetained: false } as StoredFile;
const RETAINED = { ...FILE, isRetained: true, retainUntil: at(600) } as StoredFile;

describe("changedTerms", () => {
  test.each<[string, TermsChange]>([
    ["nothing", {}],
    ["an expiry a moment ahead", { expiresAt: at(0.001) }],
    ["the furthest expiry", { expiresAt: at(MAX_SECONDS) }],
    ["no expiry", { expiresAt: null }],
    ["as many downloads as were had", { maxDownloads: 3 }],
    ["no limit", { maxDownloads: null }],
    ["a first retention", { retainUntil: at(1) }],
    ["all at once", { expiresAt: at(9), maxDownloads: 4, retainUntil: at(9) }],
  ])("takes %s", (_, change) => expect(changedTerms(FILE, change, CONTEXT)).toEqual(change));

  test.each<[string, string, string, TermsChange, StoredFile]>([
    ["EXPIRY_OUT_OF_RANGE", "expires_at", "an expiry now", { expiresAt: NOW }, FILE],
    ["EXPIRY_OUT_OF_RANGE", "expires_at", "an expiry too far ahead", { expiresAt: at(3600.001) }, FILE],
    ["MAX_DOWNLOADS_OUT_OF_RANGE", "max_downloads", "fewer than were had", { maxDownloads: 2 }, FILE],
    [
      "MAX_DOWNLOADS_OUT_OF_RANGE",
      "max_downloads",
      "none",
      { maxDownloads: 0 },
      { ...FILE, downloadCount: 0 },
    ],
    ["EXPIRY_OUT_OF_RANGE", "retain_until", "a retention that is past", { retainUntil: at(-1) }, FILE],
    ["EXPIRY_OUT_OF_RANGE", "retain_until", "a retention too far ahead", { retainUntil: at(3601) }, FILE],
    ["FILE_RETAINED", "retain_until", "a shorter retention", { retainUntil: at(599) }, RETAINED],
    ["FILE_RETAINED", "retain_until", "an end of the retention", { retainUntil: null }, RETAINED],
    ["FILE_GONE", "hash", "anything for a file that is gone", {}, { ...FILE, status: "gone" }],
  ])("says %s of %s for %s", (code, field, _, change, file) => {
    expect(() => changedTerms(file, change, CONTEXT)).toThrow(expect.objectContaining({ code, field }));
  });

  test("moves a retention later or leaves it, whatever is asked", () => {
    fc.assert(
      fc.property(fc.option(fc.integer({ min: -1000, max: 4000 })), seconds => {
        const retainUntil = seconds === null ? null : at(seconds);
        let after: Date | null | undefined;
        try {
          after = changedTerms(RETAINED, { retainUntil }, CONTEXT).retainUntil;
        } catch {
          after = undefined; // refused
        }
        expect((after ?? at(600)).getTime()).toBeGreaterThanOrEqual(at(600).getTime());
      }),
    );
  });

  test("ends no retention that is over by asking for none", () => {
    expect(changedTerms(FILE, { retainUntil: null }, CONTEXT)).toEqual({});
  });
});
