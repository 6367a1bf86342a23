/** The double is worth something only if it speaks as Google does: Google's own client is the judge. */
import { Storage } from "@google-cloud/storage";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { GcsDouble } from "../support/gcs-double.js";

describe("Google's own client against the double", () => {
  let double: GcsDouble;
  let bucket: ReturnType<Storage["bucket"]>;

  beforeAll(async () => {
    double = await GcsDouble.start({ buckets: ["b"], pageEntries: 2 });
    bucket = new Storage({ apiEndpoint: double.endpoint, projectId: "p" }).bucket("b");
  });
  afterAll(() => double.close());

  const bytes = Buffer.from("some bytes of an object");

  test("finds the bucket and misses another", async () => {
    expect(await bucket.exists()).toEqual([true]);
    expect((await bucket.getMetadata())[0].location).toBe("EUROPE-WEST1");
    expect(await bucket.storage.bucket("other").exists()).toEqual([false]);
  });

  test.each([
    ["in one request", { resumable: false }],
    ["resumably", { resumable: true }],
    ["resumably, in chunks", { resumable: true, chunkSize: 256 * 1024 }],
  ])("saves %s and downloads, whole and a range", async (way, options) => {
    const file = bucket.file(`saved ${way}`);
    const large = Buffer.concat(Array.from({ length: 40_000 }, () => bytes));
    await file.save(large, options);
    expect((await file.download())[0].equals(large)).toBe(true);
    const [part] = await file.download({ start: 5, end: 9 });
    expect(part.toString()).toBe("bytes");
    expect((await file.getMetadata())[0].size).toBe(String(large.length));
  });

  test("creates only once when asked for generation 0", async () => {
    const file = bucket.file("once");
    const once = { resumable: false, preconditionOpts: { ifGenerationMatch: 0 } };
    await file.save(bytes, once);
    await expect(file.save(bytes, once)).rejects.toMatchObject({ code: 412 });
  });

  test("pages through the names in byte order", async () => {
    for (const name of ["z", "a", "é", "Z"])
      await bucket.file(`page/${name}`).save(bytes, { resumable: false });
    const [files] = await bucket.getFiles({ prefix: "page/" });
    expect(files.map(file => file.name)).toEqual(["page/Z", "page/a", "page/z", "page/é"]);
  });

  test("deletes, and says 404 of what is gone", async () => {
    const file = bucket.file("gone");
    await file.save(bytes, { resumable: false });
    await file.delete();
    await expect(file.delete()).rejects.toMatchObject({ code: 404 });
    await expect(file.download()).rejects.toMatchObject({ code: 404 });
  });
});
