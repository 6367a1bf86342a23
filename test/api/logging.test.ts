import { describe, expect, test } from "@jest/globals";
import { safePath } from "../../src/api/logging.js";

const TOKEN = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYm8";

describe("safePath", () => {
  test.each([
    ["/api/retrieve/ab?password=secret", "/api/retrieve/ab"],
    [`/d/${TOKEN}`, "/d/***"],
    [`/D/${TOKEN}`, "/D/***"],
    [`//d//${TOKEN}`, "//d//***"],
    [`/files/${TOKEN}?x=1`, "/files/***"],
    [`http://host/d/${TOKEN}`, "http://host/d/***"],
    [`/elsewhere/${TOKEN}`, "/elsewhere/***"],
    ["/healthz", "/healthz"],
  ])("%s is logged as %s", (url, path) => expect(safePath(url)).toBe(path));

  test("a path is cut before it fills the log", () => {
    expect(safePath(`/${"a".repeat(10_000)}`).length).toBeLessThanOrEqual(200);
  });
});
