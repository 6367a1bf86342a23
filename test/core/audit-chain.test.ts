import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { AuditEntry, AuditHead } from "../../src/core/audit.js";
import { AUDIT_ACTIONS, AUDIT_OUTCOMES, NO_ENTRIES } from "../../src/core/audit.js";
import type { AuditExpectation } from "../../src/core/audit-chain.js";
import { auditFields, auditHash, verifyAudit } from "../../src/core/audit-chain.js";

type Unchained = Omit<AuditEntry, "seq" | "previous" | "hash">;

const text = fc.option(fc.string({ unit: "binary", maxLength: 12 }));
const event: fc.Arbitrary<Unchained> = fc.record({
  at: fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }),
  action: fc.constantFrom(...AUDIT_ACTIONS),
  outcome: fc.constantFrom(...AUDIT_OUTCOMES),
  fileId: fc.option(fc.uuid()),
  fileHash: fc.option(fc.constantFrom("ab".repeat(32), "cd".repeat(32))),
  bucketId: fc.option(fc.integer({ min: 1, max: 32_767 })),
  actor: text,
  clientIp: text,
  requestId: text,
  code: text,
  count: fc.integer({ min: 1, max: 1000 }),
});
const log = fc.array(event, { minLength: 1, maxLength: 12 }).map(events => chained(events));

function chained(events: readonly Unchained[], from: AuditHead = NO_ENTRIES): AuditEntry[] {
  let { seq, hash: previous } = from;
  return events.map(one => {
    const entry = { ...one, seq: ++seq, previous };
    previous = auditHash(entry);
    return { ...entry, hash: previous };
  });
}

async function* stream(entries: readonly AuditEntry[]): AsyncGenerator<AuditEntry> {
  yield* entries;
}

const verify = (entries: readonly AuditEntry[], expectation?: AuditExpectation) =>
  verifyAudit(stream(entries), expectation);

/** The last entry, which every log of these tests has. */
function last(entries: readonly AuditEntry[]): AuditEntry {
  const entry = entries.at(-1);
  if (!entry) throw new Error("an empty log");
  return entry;
}

describe("auditHash", () => {
  test("is SHA-256 over the label and each field behind its length: an entry that never changes", () => {
    const entry: Omit<AuditEntry, "hash"> = {
      seq: 7,
      at: new Date("2026-11-25T12:00:00.123Z"),
      action: "FILE_UNLOCKED",
      outcome: "DENIED",
      fileId: "00112233-4455-6677-8899-aabbccddeeff",
      fileHash: "ab".repeat(32),
      bucketId: null,
      actor: null,
      clientIp: "192.0.2.1",
      requestId: "Grüße",
      code: "WRONG_PASSWORD",
      count: 1,
      previous: "00".repeat(32),
    };
    // Computed once in Python, from docs/audit.md alone.
    expect(auditHash(entry)).toBe("dd7eebd9b077d905275e7740b41d41e0ab0577ac27596f40933fb1505170a8d8");
  });

  test("differs where any field does, and where text moves from one field to the next", () => {
    fc.assert(
      fc.property(event, event, (a, b) => {
        const one = { ...a, seq: 1, previous: NO_ENTRIES.hash };
        const other = { ...b, seq: 1, previous: NO_ENTRIES.hash };
        const isSame = JSON.stringify(auditFields(one)) === JSON.stringify(auditFields(other));
        expect(auditHash(one) === auditHash(other)).toBe(isSame);
        const moved = { ...one, actor: `${one.actor ?? ""}${one.clientIp ?? ""}x`, clientIp: "" };
        expect(auditHash({ ...one, actor: one.actor ?? "", clientIp: `${one.clientIp ?? ""}x` })).not.toBe(
          auditHash(moved),
        );
      }),
    );
  });
});

describe("verifyAudit", () => {
  test("finds every honest log whole, an empty one too, and says its head", async () => {
    expect(await verify([])).toEqual({ isWhole: true, head: NO_ENTRIES });
    await fc.assert(
      fc.asyncProperty(log, async entries => {
        const { seq, hash } = last(entries);
        const head = { seq, hash };
        expect(await verify(entries, { claimed: async () => head, expected: head })).toEqual({
          isWhole: true,
          head,
        });
      }),
    );
  });

  test("finds a log whole that goes on from an archived part", async () => {
    await fc.assert(
      fc.asyncProperty(log, fc.nat(), async (entries, cut) => {
        const kept = entries.slice(cut % entries.length);
        const from = cut % entries.length === 0 ? NO_ENTRIES : entries[(cut % entries.length) - 1];
        expect(await verify(kept, from && { from })).toMatchObject({ isWhole: true });
      }),
    );
  });

  test("finds a log whole that grows while it is read", async () => {
    await fc.assert(
      fc.asyncProperty(log, event, async (entries, more) => {
        const longer = [...entries, ...chained([more], last(entries))];
        const heads = [last(entries), last(longer)];
        const claimed = async () => heads.shift() ?? NO_ENTRIES;
        expect(await verify(longer, { claimed })).toMatchObject({ isWhole: true });
      }),
    );
  });

  const fields = [
    ["seq", 99],
    ["at", new Date(5e12)],
    ["action", "CHUNK_REPAIRED_"],
    ["outcome", "MAYBE"],
    ["fileId", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    ["fileHash", "ef".repeat(32)],
    ["bucketId", 0],
    ["actor", "somebody else entirely"],
    ["clientIp", "an address of no length above"],
    ["requestId", "another request altogether"],
    ["code", "ANOTHER_CODE_THAN_ALL"],
    ["count", 1001],
    ["previous", "12".repeat(32)],
    ["hash", "34".repeat(32)],
  ] as const;

  test.each(fields)("finds the entry whose %s was altered", async (field, value) => {
    await fc.assert(
      fc.asyncProperty(log, fc.nat(), async (entries, at) => {
        const index = at % entries.length;
        const altered = entries.map((entry, i) => (i === index ? { ...entry, [field]: value } : entry));
        expect(await verify(altered as AuditEntry[])).toMatchObject({ isWhole: false, seq: index + 1 });
      }),
    );
  });

  test.each(fields.filter(([field]) => field !== "hash"))(
    "finds the entry after one whose %s was altered and its hash made anew",
    async (field, value) => {
      await fc.assert(
        fc.asyncProperty(log, event, fc.nat(), async (entries, more, at) => {
          const longer = [...entries, ...chained([more], last(entries))];
          const index = at % entries.length;
          const altered = longer.map((entry, i) => {
            if (i !== index) return entry;
            const changed = { ...entry, [field]: value } as AuditEntry;
            return { ...changed, hash: auditHash(changed) };
          });
          expect(await verify(altered)).toMatchObject({ isWhole: false });
        }),
      );
    },
  );

  test.each<[string, (entries: AuditEntry[], at: number) => AuditEntry[], (at: number) => number]>([
    ["a missing entry", (all, at) => all.toSpliced(at, 1), at => at + 1],
    ["missing first entries", (all, at) => all.slice(at + 1), () => 1],
    ["a missing middle", (all, at) => [...all.slice(0, at), ...all.slice(-1)], at => at + 1],
    [
      "two entries that changed places",
      (all, at) => all.toSpliced(at, 2, ...all.slice(at, at + 2).reverse()),
      at => at + 1,
    ],
    [
      "an entry that is there twice",
      (all, at) => all.toSpliced(at, 0, ...all.slice(at, at + 1)),
      at => at + 2,
    ],
  ])("finds %s", async (_what, change, brokenAt) => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 4, maxLength: 12 }), fc.nat(), async (events, n) => {
        const entries = chained(events);
        const at = n % (entries.length - 2); // two follow: what is missing at the end is the next test's
        expect(await verify(change(entries, at))).toMatchObject({ isWhole: false, seq: brokenAt(at) });
      }),
    );
  });

  test("finds missing last entries, some beyond the head, and a log written anew from some entry on, by a head kept elsewhere", async () => {
    await fc.assert(
      fc.asyncProperty(log, event, async (entries, other) => {
        const { seq, hash } = last(entries);
        const shorter = entries.slice(0, -1);
        expect(await verify(shorter)).toMatchObject({ isWhole: true }); // alone, it cannot know
        expect(await verify(shorter, { expected: { seq, hash } })).toMatchObject({ isWhole: false, seq });
        expect(await verify(shorter, { claimed: async () => ({ seq, hash }) })).toMatchObject({
          isWhole: false,
          seq,
        });
        const anew = chained([...shorter, { ...other, count: 2000 }]);
        expect(await verify(anew)).toMatchObject({ isWhole: true });
        expect(await verify(anew, { expected: { seq, hash } })).toMatchObject({ isWhole: false, seq });
        expect(await verify(anew, { claimed: async () => ({ seq, hash }) })).toMatchObject({
          isWhole: false,
          seq,
        });
        const beyond = [...entries, ...chained([other], last(entries))];
        expect(await verify(beyond, { claimed: async () => ({ seq, hash }) })).toMatchObject({
          isWhole: false,
          seq: seq + 1,
        });
      }),
    );
  });
});
