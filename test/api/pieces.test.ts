import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { Pieces } from "../../src/api/pieces.js";

const broken = (error: unknown) => new Error("broken off", { cause: error });

async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const read: Uint8Array[] = [];
  for await (const piece of pieces) read.push(piece);
  return Buffer.concat(read).toString();
}

/** A turn of the event loop, or none. */
const turn = (isTaken: boolean) => (isTaken ? new Promise(resolve => setImmediate(resolve)) : undefined);

describe("the pieces of a stream", () => {
  test("are its bytes in order, whoever is the slower of writer and reader", async () => {
    const step = fc.record({ text: fc.string({ minLength: 1, maxLength: 9 }), waits: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step), fc.array(fc.boolean()), async (steps, reader) => {
        const stream = new PassThrough({ highWaterMark: 8 });
        const write = async () => {
          for (const { text, waits } of steps) {
            if (!stream.write(text)) await once(stream, "drain");
            await turn(waits);
          }
          stream.end();
        };
        const read = async () => {
          const parts: Uint8Array[] = [];
          let i = 0;
          for await (const piece of new Pieces(stream, { broken })) {
            parts.push(piece);
            await turn(reader[i++] ?? false);
          }
          return Buffer.concat(parts).toString();
        };
        const [read_] = await Promise.all([read(), write()]);
        expect(read_).toBe(steps.map(({ text }) => text).join(""));
      }),
    );
  });

  test("of a stream that is already over are none", async () => {
    const stream = Readable.from([]);
    stream.resume();
    await once(stream, "end");
    expect(await textOf(new Pieces(stream, { broken }))).toBe("");
  });

  test("lie in the stream until they are asked for", async () => {
    const stream = new Readable({ read() {} });
    const pieces = new Pieces(stream, { broken });
    stream.push("a");
    await turn(true);
    expect(stream.readableLength).toBe(1);
    expect(String((await pieces.next()).value)).toBe("a");
    for (const text of ["b", "c", "d", null]) {
      stream.push(text);
      await turn(true);
    }
    expect(stream.readableLength).toBe(3);
    expect(await textOf(pieces)).toBe("bcd");
  });

  test.each([
    ["with an error", new Error("reset")],
    ["without one", undefined],
  ])("end with what came, and then as they are told to, where the stream breaks off %s", async (_, error) => {
    for (const isSlow of [false, true]) {
      const stream = new PassThrough();
      const pieces = new Pieces(stream, { broken });
      stream.write("abc");
      expect(String((await pieces.next()).value)).toBe("abc");
      if (isSlow) for (const text of ["d", "ef"]) stream.write(text);
      await turn(isSlow);
      stream.destroy(error);
      await turn(true);
      const rest: string[] = [];
      const reading = (async () => {
        for await (const piece of pieces) rest.push(String(piece));
      })();
      await expect(reading).rejects.toThrow("broken off");
      expect(rest.join("")).toBe(isSlow ? "def" : "");
    }
  });

  test("are not lost where they are asked for while the stream is breaking off", async () => {
    for (const error of [new Error("reset"), undefined]) {
      for (const isAttached of [true, false]) {
        const told: string[] = [];
        const onPiece = (piece: Uint8Array) => void told.push(String(piece));
        const stream = new Readable({ read() {} });
        const pieces = new Pieces(stream, { broken: () => undefined, onPiece });
        if (isAttached) {
          stream.push("a");
          await pieces.next();
        }
        stream.push("b");
        await turn(isAttached);
        stream.destroy(error); // told of it is nobody yet
        expect(await textOf(pieces)).toBe("b");
        expect(told).toEqual(isAttached ? ["a", "b"] : ["b"]);
      }
    }
  });

  test("may end where the stream breaks off as if it were whole, also before anybody has asked", async () => {
    for (const asks of [true, false]) {
      const stream = new PassThrough();
      const pieces = new Pieces(stream, { broken: () => undefined });
      stream.on("error", () => {}).write("abc");
      const first = asks ? String((await pieces.next()).value) : "";
      stream.destroy(new Error("reset"));
      await turn(true);
      expect(first + (await textOf(pieces))).toBe("abc");
    }
  });

  test.each([true, false])(
    "leave the stream to others where they are not read to the end: %p",
    async staysOpen => {
      const stream = new PassThrough();
      for (const text of ["a", "b", "c"]) stream.write(text);
      for await (const piece of new Pieces(stream, { broken, staysOpen })) {
        expect(String(piece)).toBe("a");
        break;
      }
      expect(stream.destroyed).toBe(!staysOpen);
      if (staysOpen) expect(String(stream.read())).toBe("bc");
    },
  );

  test("do not hold up others who read on from where a reader's own reader has stopped", async () => {
    const stream = new Readable({ read() {} });
    const pieces = new Pieces(stream, { broken, staysOpen: true });
    async function* through() {
      for await (const piece of pieces) yield String(piece);
    }
    const reading = through();
    stream.push("a");
    expect((await reading.next()).value).toBe("a");
    const others: string[] = [];
    stream.on("data", piece => others.push(String(piece)));
    await reading.return(undefined);
    for (const text of ["b", "c", null]) stream.push(text);
    await once(stream, "end");
    expect(others.join("")).toBe("bc");
  });

  test("are told of, each before it is read", async () => {
    const told: string[] = [];
    const stream = Readable.from(["a", "b", "c"].map(text => Buffer.from(text)));
    const onPiece = (piece: Uint8Array) => void told.push(String(piece));
    const counts: number[] = [];
    for await (const _ of new Pieces(stream, { broken, onPiece })) counts.push(told.length);
    expect([told, counts]).toEqual([
      ["a", "b", "c"],
      [1, 2, 3],
    ]);
  });
});
