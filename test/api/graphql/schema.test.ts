import { describe, expect, test } from "@jest/globals";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { buildSchema, parse, validate } from "graphql";
import { schemaText } from "../../../src/api/graphql/schema.js";

const OPERATIONS = ["files", "uploads", "admin"].map(name => `schema/operations/${name}.graphql`);

describe("schema/", () => {
  test("schema.graphql is what the code says: run `npm run schema` when this fails", async () => {
    expect(await readFile("schema/schema.graphql", "utf8")).toBe(await schemaText());
  });

  test("the operations are valid", async () => {
    const documents = await Promise.all(OPERATIONS.map(path => readFile(path, "utf8")));
    expect(validate(buildSchema(await schemaText()), parse(documents.join("\n")))).toEqual([]);
  });

  test("test/generated has every operation: run `npm run codegen` when this fails", async () => {
    expect(existsSync("test/generated/graphql.ts")).toBe(true);
    const generated = await readFile("test/generated/graphql.ts", "utf8");
    for (const path of OPERATIONS) {
      for (const [, name] of (await readFile(path, "utf8")).matchAll(/^(?:query|mutation) (\w+)/gm)) {
        expect(generated).toContain(`export const ${name}Document`);
      }
    }
  });
});
