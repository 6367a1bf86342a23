/** The schema keeps what clients rely on: schema/contract.graphql. How a breaking change is accepted: CONTRIBUTING.md. */
import { describe, expect, test } from "@jest/globals";
import { readFile } from "node:fs/promises";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const contract = buildSchema(await readFile("schema/contract.graphql", "utf8"));
const schema = buildSchema(await readFile("schema/schema.graphql", "utf8"));
const breaking = (await diff(contract, schema)).filter(
  ({ criticality }) => criticality.level === CriticalityLevel.Breaking,
);
describe("schema.graphql", () => {
  test("breaks nothing of the contract", () => {
    expect(breaking.map(({ path, message }) => `${path}: ${message}`)).toEqual([]);
  });

  test("changes no default that a client may rely on", async () => {
    const changes = await diff(contract, schema);
    const dangerous = changes.filter(({ criticality }) => criticality.level === CriticalityLevel.Dangerous);
    expect(dangerous.map(({ message }) => message).filter(message => /default/i.test(message))).toEqual([]);
  });
});
