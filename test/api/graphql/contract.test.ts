/** The schema keeps what clients rely on: schema/contract.graphql. How a breaking change is accepted: CONTRIBUTING.md. */
import { describe, expect, test } from "@jest/globals";
import { readFile } from "node:fs/promises";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

/** What the contract names and the code does not have yet, by path, with the reason. */
const MISSING: Readonly<Record<string, string>> = {
  VerifyFileInput: "scrub and repair (issue 5) are not built",
  VerifyFilePayload: "scrub and repair (issue 5) are not built",
  "Mutation.verifyFile": "scrub and repair (issue 5) are not built",
};

const contract = buildSchema(await readFile("schema/contract.graphql", "utf8"));
const schema = buildSchema(await readFile("schema/schema.graphql", "utf8"));
const breaking = (await diff(contract, schema)).filter(
  ({ criticality }) => criticality.level === CriticalityLevel.Breaking,
);
const isMissing = (path = "") =>
  Object.keys(MISSING).some(missing => path === missing || path.startsWith(`${missing}.`));

describe("schema.graphql", () => {
  test("breaks nothing of the contract", () => {
    const broken = breaking.filter(({ path }) => !isMissing(path));
    expect(broken.map(({ path, message }) => `${path}: ${message}`)).toEqual([]);
  });

  test("lacks all that is listed as missing: take out of the list what is there", () => {
    const paths = new Set(breaking.map(({ path }) => path));
    expect(Object.keys(MISSING).filter(path => !paths.has(path))).toEqual([]);
  });

  test("changes no default that a client may rely on", async () => {
    const changes = await diff(contract, schema);
    const dangerous = changes.filter(({ criticality }) => criticality.level === CriticalityLevel.Dangerous);
    expect(dangerous.map(({ message }) => message).filter(message => /default/i.test(message))).toEqual([]);
  });
});
