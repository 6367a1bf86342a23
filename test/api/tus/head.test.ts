/** HEADs that come at once, each stopped between what it has read and what it does. */
import { afterEach, beforeAll, afterAll, expect, jest, test } from "@jest/globals";
import { describeUpload } from "../../../src/api/tus/head.js";
import { Concatenations } from "../../../src/core/concat.js";
import { UploadRows } from "../../../src/database/upload-store.js";
import { silent } from "../../support/log.js";
import type { Vault } from "../../support/vault.js";
import { bytesOf, openVault, pieces } from "../../support/vault.js";

let vault: Vault;
beforeAll(async () => {
  vault = await openVault();
});
afterAll(() => vault.close());
afterEach(() => void jest.restoreAllMocks());

function head(token: string) {
  const { uploads, caller } = vault;
  return describeUpload({ uploads, concatenations: new Concatenations(uploads, silent) }, token, caller);
}

/** An upload whose last request told its length, and no more. */
async function declared(bytes: number): Promise<string> {
  const { token } = await vault.begin({ length: null });
  await vault.uploads.append(token, 0, pieces(bytesOf(bytes, 1), 10), { lastByte: "by-length" });
  await vault.uploads.declareLength(token, bytes);
  return token;
}

test.each([0, 11])("of an upload of %d bytes, all tell of the file that one of them makes", async bytes => {
  const token = await declared(bytes);
  const { find } = UploadRows.prototype;
  const others: unknown[] = [];
  jest.spyOn(UploadRows.prototype, "find").mockImplementationOnce(async function (this: UploadRows, id) {
    const before = await find.call(this, id);
    others.push(await head(token)); // from its beginning to its end
    return before;
  });
  const reply = await head(token);
  expect(others).toEqual([reply]);
  expect(reply).toMatchObject({ "Upload-Offset": String(bytes), "Upload-Length": String(bytes) });
  expect(await vault.read(String(reply["File-Hash"]), "correct horse")).toEqual(bytesOf(bytes, 1));
});
