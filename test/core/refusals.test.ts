import { describe, expect, jest, test } from "@jest/globals";
import type { AuditEvent } from "../../src/core/audit.js";
import { eventOf } from "../../src/core/auditor.js";
import { PER_ADDRESS, PER_WINDOW, Refusals } from "../../src/core/refusals.js";
import { silent } from "../support/log.js";

function refusal(clientIp: string, code = "WRONG_PASSWORD"): AuditEvent {
  return { ...eventOf({ action: "FILE_UNLOCKED", caller: null }), outcome: "DENIED", clientIp, code };
}

function open() {
  const written: AuditEvent[] = [];
  const log = { record: async (event: AuditEvent) => void written.push(event), chainSoon() {} };
  return { written, refusals: new Refusals(log, silent) };
}

describe("refusals", () => {
  test("of one address are written one by one up to a number, and then summed", async () => {
    const { written, refusals } = open();
    for (let i = 0; i < PER_ADDRESS + 25; i++) await refusals.take(refusal("192.0.2.1"));
    await refusals.take(refusal("192.0.2.2"));
    expect(written).toHaveLength(PER_ADDRESS + 1); // another address is still heard
    await refusals.flush();
    expect(written.at(-1)).toMatchObject({ clientIp: null, code: "WRONG_PASSWORD", count: 25 });
    expect(written).toHaveLength(PER_ADDRESS + 2);
  });

  test("from ever new addresses are bounded too, and none is lost from the count", async () => {
    const { written, refusals } = open();
    for (let i = 0; i < 5000; i++)
      await refusals.take(refusal(`192.0.2.${i}`, i % 2 ? "FILE_GONE" : "LINK_EXPIRED"));
    expect(written).toHaveLength(PER_WINDOW);
    await refusals.flush();
    expect(written).toHaveLength(PER_WINDOW + 2);
    expect(written.reduce((sum, { count }) => sum + count, 0)).toBe(5000);
  });

  test("have a new window after a flush, which comes by itself", async () => {
    jest.useFakeTimers();
    try {
      const { written, refusals } = open();
      for (let i = 0; i < PER_ADDRESS + 1; i++) await refusals.take(refusal("192.0.2.1"));
      await jest.advanceTimersByTimeAsync(60_000);
      expect(written.at(-1)).toMatchObject({ count: 1, clientIp: null });
      await refusals.take(refusal("192.0.2.1"));
      expect(written.at(-1)).toMatchObject({ count: 1, clientIp: "192.0.2.1" });
    } finally {
      jest.useRealTimers();
    }
  });

  test("that cannot be written do not hide why something was refused", async () => {
    const failing = { record: async () => Promise.reject(new Error("away")), chainSoon() {} };
    await expect(new Refusals(failing, silent).take(refusal("192.0.2.1"))).resolves.toBeUndefined();
  });
});
