import { describe, expect, test } from "@jest/globals";
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { Kind, buildSchema, parse, validate } from "graphql";
import { schemaText } from "../../../src/api/graphql/schema.js";

const OPERATIONS = readdirSync("schema/operations").map(name => `schema/operations/${name}`);

describe("schema/", () => {
  test("schema.graphql is what the code says: run `npm run schema` when this fails", async () => {
    expect(await readFile("schema/schema.graphql", "utf8")).toBe(await schemaText());
  });

  test("the operations are valid", async () => {
    const documents = await Promise.all(OPERATIONS.map(path => readFile(path, "utf8")));
    expect(validate(buildSchema(await schemaText()), parse(documents.join("\n")))).toEqual([]);
  });

  test("every query and mutation has an operation, so that it has typed documents", async () => {
    const schema = buildSchema(await schemaText());
    const roots = [schema.getQueryType(), schema.getMutationType()];
    const fields = roots.flatMap(type => Object.keys(type?.getFields() ?? {}));
    const documents = await Promise.all(OPERATIONS.map(path => readFile(path, "utf8")));
    const asked = parse(documents.join("\n")).definitions.flatMap(definition =>
      definition.kind === Kind.OPERATION_DEFINITION ? definition.selectionSet.selections : [],
    );
    const names = new Set(asked.map(field => (field.kind === Kind.FIELD ? field.name.value : "")));
    expect(fields.filter(name => !names.has(name))).toEqual([]);
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
