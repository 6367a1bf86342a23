import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { nameIn, rolesIn } from "../../src/identity/claims.js";

describe("the roles of a token", () => {
  test.each<[object, string, string[], string]>([
    // claims, path, roles, why
    [{ roles: ["uploader", "admin"] }, "roles", ["uploader", "admin"], "a list"],
    [{ roles: "admin" }, "roles", ["admin"], "a text"],
    [{ realm_access: { roles: ["admin"] } }, "realm_access.roles", ["admin"], "nested, as Keycloak has it"],
    [{ "https://v.example/roles": "uploader" }, "https://v.example/roles", ["uploader"], "a name with dots"],
    [{ roles: ["ADMIN", "administrator", "root"] }, "roles", [], "others than ours"],
    [{ roles: "uploader admin" }, "roles", [], "a sentence is no list"],
    [{ roles: { admin: true } }, "roles", [], "an object is no list"],
    [{ roles: [["admin"]] }, "roles", [], "a list in a list"],
    [{ realm_access: "admin" }, "realm_access.roles", [], "a way that ends early"],
    [{ realm_access: null }, "realm_access.roles", [], "a way over null"],
    [{}, "roles", [], "no claim"],
    [{}, "constructor.name", [], "nothing that every object has"],
  ])("%j by %s are %j: %s", (claims, path, roles, _) => expect([...rolesIn(claims, path)]).toEqual(roles));
});

describe("the name of a token", () => {
  test.each([
    [{ preferred_username: "alice", sub: "7f3" }, "oidc:alice 7f3"],
    [{ sub: "7f3" }, "oidc:7f3"],
    [{ preferred_username: ["alice"], sub: 7 }, "oidc:"],
    [{ preferred_username: "admin" }, "oidc:admin"],
    [{ sub: "a\r\nb\u202e" }, "oidc:a��b�"],
  ])("%j is %s", (claims, name) => expect(nameIn(claims)).toBe(name));

  test("is short, and has no control characters, whatever the claims hold", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 1000 }), sub => {
        const name = nameIn({ sub });
        expect(name.length).toBeLessThanOrEqual(200);
        expect(name).not.toMatch(/\p{C}/u);
      }),
    );
  });
});
