/** `npm run docs`: writes the tables of docs/graphql.md anew from the code, between their markers. */
import "reflect-metadata";
import { readFileSync, writeFileSync } from "node:fs";
import { buildSchema } from "graphql";
import { ANSWERS } from "../dist/api/errors.js";
import { GRAPHQL_CODES, UserErrorCode } from "../dist/api/graphql/errors.js";
import { between, errorsTable, rolesTable } from "./tables.mjs";

const PAGE = "docs/graphql.md";
const schema = buildSchema(readFileSync("schema/schema.graphql", "utf8"));
const errors = errorsTable(ANSWERS, Object.values(UserErrorCode), GRAPHQL_CODES);
const page = between(readFileSync(PAGE, "utf8"), "errors", errors);
writeFileSync(PAGE, between(page, "roles", rolesTable(schema)));
