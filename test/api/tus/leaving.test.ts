import { describe, expect, test } from "@jest/globals";
import { Leaving } from "../../../src/api/tus/leaving.js";

/** A request under way for the upload. */
function sendingTo(leaving: Leaving, upload = "upload") {
  const [gone, work] = [new AbortController(), Promise.withResolvers<void>()];
  leaving.watch(upload, gone.signal, work.promise);
  return { leave: () => gone.abort(), done: work.resolve, fail: () => work.reject(new Error("cut")) };
}

async function isSettled(leaving: Leaving): Promise<boolean> {
  let isOver = false;
  void leaving.settled("upload").then(() => {
    isOver = true;
  });
  await new Promise(resolve => setImmediate(resolve));
  return isOver;
}

describe("who asks how an upload stands", () => {
  test.each(["done", "fail"] as const)("waits for a request whose client has left: %s", async end => {
    const leaving = new Leaving();
    const request = sendingTo(leaving);
    expect(await isSettled(leaving)).toBe(true); // it is still there, and would be waited for in vain
    request.leave();
    expect(await isSettled(leaving)).toBe(false);
    request[end]();
    expect(await isSettled(leaving)).toBe(true);
  });

  test("waits for one whose client had left before anyone looked", async () => {
    const leaving = new Leaving();
    const gone = AbortSignal.abort();
    leaving.watch("upload", gone, new Promise(() => {}));
    expect(await isSettled(leaving)).toBe(false);
  });

  test("does not wait for requests of other uploads", async () => {
    const leaving = new Leaving();
    sendingTo(leaving, "another").leave();
    expect(await isSettled(leaving)).toBe(true);
  });

  test("does not wait for one that another has overtaken, and waits where the other was refused", async () => {
    const leaving = new Leaving();
    sendingTo(leaving).leave();
    sendingTo(leaving).fail();
    expect(await isSettled(leaving)).toBe(false);
    sendingTo(leaving).done();
    await new Promise(resolve => setImmediate(resolve));
    expect(await isSettled(leaving)).toBe(true);
  });
});
