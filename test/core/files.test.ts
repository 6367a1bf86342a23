import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Vault } from "../support/vault.js";
import { bytesOf, openVault } from "../support/vault.js";

const PASSWORD = "correct horse";

let vault: Vault;
beforeAll(async () => {
  vault = await openVault();
});
afterAll(() => vault.close());

describe("a delete that dies after the shredding, before anything else", () => {
  test("leaves nothing that opens, and the next sweep ends it", async () => {
    const plain = bytesOf(5000, 1);
    const file = await vault.store(plain, { chunkBytes: 1024 });
    const token = await vault.link(file.hash, PASSWORD, {});
    const link = await vault.downloads.describe(token, vault.caller);
    // The first batch of chunk rows cannot be buried, as if the process had died there.
    await vault.sql(
      `create function die() returns trigger language plpgsql as $$ begin raise 'died'; end $$;
       create trigger die before delete on chunks for each row execute function die()`,
      [],
    );
    await expect(vault.files.delete(file.hash, PASSWORD, vault.caller)).rejects.toThrow("died");

    // Every way in, also for who had found the link just before.
    await expect(vault.files.unlock(file.hash, PASSWORD, vault.caller)).rejects.toMatchObject({
      code: "FILE_GONE",
    });
    await expect(vault.link(file.hash, PASSWORD, {})).rejects.toMatchObject({ code: "FILE_GONE" });
    await expect(vault.downloads.describe(token, vault.caller)).rejects.toMatchObject({ code: "NOT_FOUND" });
    const late = { signal: new AbortController().signal, onReclaim: () => {} };
    const starting = vault.downloads.start(link, { start: 0, end: plain.length }, late);
    await expect(starting).rejects.toMatchObject({ code: "LINK_EXPIRED" });
    expect(await vault.count("select count(*) from grants where file_id = ?", [file.id])).toBe(0);
    expect(await vault.chunkMap.chunks(file.id, 0, 99)).not.toEqual([]);
    expect(await vault.objects()).not.toEqual([]);

    await vault.sql("drop trigger die on chunks; drop function die", []);
    expect(await vault.sweep()).toMatchObject({ files: 1, objectsLeft: 0 });
    expect(await vault.chunkMap.chunks(file.id, 0, 99)).toEqual([]);
    expect(await vault.objects()).toEqual([]);
  });
});

describe("a change of the password", () => {
  test("moves no byte, and leaves the hash", async () => {
    const plain = bytesOf(5000, 2);
    const file = await vault.store(plain, { chunkBytes: 1024 });
    const chunks = await vault.chunkMap.chunks(file.id, 0, 99);
    const change = { currentPassword: PASSWORD, newPassword: "battery staple", revokeLinks: true };
    const changed = await vault.files.changePassword(file.hash, change, vault.caller);
    expect(changed.file).toEqual(file);
    expect(await vault.chunkMap.chunks(file.id, 0, 99)).toEqual(chunks);
    expect(Buffer.from(await vault.read(file.hash, "battery staple")).equals(plain)).toBe(true);
  });
});
