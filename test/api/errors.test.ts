import { describe, expect, test } from "@jest/globals";
import { ANSWERS, answerOf } from "../../src/api/errors.js";
import { BucketError, VaultError } from "../../src/core/errors.js";

const never = () => false;

describe("answerOf", () => {
  test("fills the bounds into the sentence and passes on where and when", () => {
    const facts = { min: 1024, max: 67_108_864 };
    const error = new VaultError("CHUNK_SIZE_OUT_OF_RANGE", "x", {
      field: "chunk_size",
      facts,
      retryAfterSeconds: 3,
    });
    expect(answerOf(error, never)).toEqual({
      code: "CHUNK_SIZE_OUT_OF_RANGE",
      status: 400,
      message: "The chunk size must be a whole number of bytes from 1024 to 67108864.",
      field: "chunk_size",
      retryAfterSeconds: 3,
    });
  });

  test.each([
    [new BucketError("unavailable", "gs://secret-bucket"), "STORAGE_UNAVAILABLE", 503],
    [new BucketError("denied", "gs://secret-bucket"), "STORAGE_UNAVAILABLE", 503],
    [new BucketError("full", "gs://secret-bucket"), "STORAGE_FULL", 507],
    [Object.assign(new Error("secret"), { status: 400 }), "BAD_REQUEST", 400],
    [Object.assign(new Error("secret"), { status: 413 }), "BAD_REQUEST", 400],
    [Object.assign(new Error("secret"), { status: 415 }), "UNSUPPORTED_MEDIA_TYPE", 415],
    [Object.assign(new Error("secret"), { status: 500 }), "INTERNAL", 500],
    [new TypeError("secret"), "INTERNAL", 500],
    ["secret", "INTERNAL", 500],
    [null, "INTERNAL", 500],
  ])("%s is %s", (error, code, status) => {
    const answer = answerOf(error, never);
    expect(answer).toMatchObject({ code, status });
    expect(answer.message).not.toContain("secret");
  });

  test("a database that is away is not a bug", () => {
    expect(answerOf(new Error("ECONNREFUSED"), () => true)).toMatchObject({
      code: "STORAGE_UNAVAILABLE",
      status: 503,
    });
  });

  test("every sentence ends as one and names no limit it was not given", () => {
    for (const code of Object.keys(ANSWERS) as (keyof typeof ANSWERS)[]) {
      expect(answerOf(new VaultError(code, "x"), never).message).toMatch(/^[A-Z][^{}]*\.$/);
    }
  });
});
