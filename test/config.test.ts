import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { ConfigError, describeVariables, readConfig } from "../src/config.js";

/** The problems of an environment. */
function problems(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe("the configuration", () => {
  test("of an empty environment is complete and frozen", () => {
    const config = readConfig({});
    expect(config).toMatchObject({
      HOST: "127.0.0.1",
      PORT: 8080,
      CHUNK_SIZE: 1_048_576,
      MEMORY_BUDGET: 268_435_456,
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test.each([
    ["4+2", { dataChunks: 4, parityChunks: 2 }],
    ["none", "none"],
  ])("reads PARITY=%s", (PARITY, expected) => {
    expect(readConfig({ PARITY }).PARITY).toEqual(expected);
  });

  test.each(["0+2", "4+0", "4", "4+2+1", "k+m"])("refuses PARITY=%s", PARITY => {
    expect(problems({ PARITY })).toEqual([expect.stringContaining("PARITY: must be `none` or like `4+2`")]);
  });

  test("refuses stripes that are wider than there are buckets", () => {
    expect(problems({ PARITY: "5+2" })).toEqual([
      "PARITY: a stripe of 7 chunks needs as many buckets, there are 6",
    ]);
  });

  test("names every problem at once, by variable", () => {
    const all = problems({
      PORT: "99999",
      CHUNK_SIZE: "1KB",
      UPLOADS: "closed",
      DATABASE_URL: "mysql://x",
      PARITY: "4-2",
    });
    expect(all.map(problem => problem.split(":")[0]).sort()).toEqual(
      ["CHUNK_SIZE", "DATABASE_URL", "PARITY", "PORT", "UPLOADS"].sort(),
    );
  });

  test.each([
    ["1048576", 1_048_576],
    ["1MiB", 1_048_576],
    ["4 KiB", 4096],
    ["64MiB", 67_108_864],
  ])("reads a size of %s", (text, bytes) => {
    expect(readConfig({ CHUNK_SIZE: text }).CHUNK_SIZE).toBe(bytes);
  });

  test.each(["0", "1023", "65MiB", "-1", "1.5", "1e6", "1 MB", "NaN", " "])(
    "refuses a chunk size of %s",
    text => {
      expect(problems({ CHUNK_SIZE: text })[0]).toMatch(
        /^CHUNK_SIZE: must be a number of bytes from 1024 to 67108864/,
      );
    },
  );

  test("takes a secret from a file, refuses two sources of one, and never repeats one", () => {
    const file = join(mkdtempSync(join(tmpdir(), "sv-config-")), "token");
    writeFileSync(file, "a-token-of-enough-letters\n");
    expect(readConfig({ ADMIN_TOKEN_FILE: file }).ADMIN_TOKEN).toBe("a-token-of-enough-letters");
    expect(problems({ ADMIN_TOKEN_FILE: file, ADMIN_TOKEN: "x".repeat(20) })).toHaveLength(1);
    expect(problems({ ADMIN_TOKEN_FILE: "/nowhere" })).toEqual(["ADMIN_TOKEN_FILE: /nowhere cannot be read"]);
    expect(
      problems({
        ADMIN_TOKEN: "hunter2",
        PEPPER: "not base64!",
        DATABASE_URL: "mysql://u:hunter2@h/d",
      }).join(),
    ).not.toContain("hunter2");
  });

  test.each([
    [{ OIDC_ISSUER: "https://issuer.example/", OIDC_AUDIENCE: "vault" }, undefined],
    [{ OIDC_ISSUER: "http://127.0.0.1:9000", OIDC_AUDIENCE: "vault" }, undefined],
    [
      { OIDC_ISSUER: "http://issuer.example", OIDC_AUDIENCE: "vault" },
      "OIDC_ISSUER: must be an https:// address",
    ],
    [{ OIDC_ISSUER: "https://issuer.example" }, "OIDC_ISSUER and OIDC_AUDIENCE: set both or neither"],
    [{ OIDC_AUDIENCE: "vault" }, "OIDC_ISSUER and OIDC_AUDIENCE: set both or neither"],
  ])("knows an OpenID provider only whole, and over TLS: %j", (env, problem) => {
    expect(problems(env)[0]?.slice(0, problem?.length)).toBe(problem);
  });

  test("keeps the issuer to the letter, because tokens name it so", () => {
    const env = { OIDC_ISSUER: "https://issuer.example/", OIDC_AUDIENCE: "vault" };
    expect(readConfig(env).OIDC_ISSUER).toBe("https://issuer.example/");
  });

  test("is documented, variable by variable, in docs/operations.md", () => {
    const document = readFileSync(new URL("../docs/operations.md", import.meta.url), "utf8");
    for (const { name, description, default: value } of describeVariables()) {
      expect(document).toContain(`| \`${name}\` | ${value === "" ? "" : `\`${value}\``} | ${description} |`);
    }
  });
});
