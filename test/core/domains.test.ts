/** Buckets that fail together: a file outlives the loss of any one failure domain, whatever is done to it before and after. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { scrub } from "../../src/core/scrub.js";
import type { StoredFile } from "../../src/core/model.js";
import type { Vault } from "../support/vault.js";
import { UNPACED, bytesOf, openVault } from "../support/vault.js";

const CHUNK_BYTES = 1024;
const PLAIN = bytesOf(9 * 992 + 10, 1);
const PASSWORD = "correct horse";

describe.each<readonly [string, readonly string[]]>([
  ["three domains of two buckets", ["a", "a", "b", "b", "c", "c"]],
  // More buckets in a domain than a stripe may lose: the domains themselves have to be looked at.
  ["four domains of three buckets", ["a", "a", "a", "b", "b", "b", "c", "c", "c", "d", "d", "d"]],
])("over %s", (_, domains) => {
  let vault: Vault;
  let file: StoredFile;
  beforeEach(async () => {
    vault = await openVault({ bucketCount: domains.length, domains, parity: "default" });
    file = await vault.store(PLAIN, { chunkBytes: CHUNK_BYTES });
  });
  afterEach(() => vault.close());

  const inDomain = (name: string) => vault.faulty.filter((_, i) => domains[i] === name);

  async function expectReadable(): Promise<void> {
    expect(Buffer.compare(await vault.read(file.hash, PASSWORD), PLAIN)).toBe(0);
  }

  test.each([...new Set(domains)])(
    "a file is read without %s, made whole, and outlives any other domain then",
    async name => {
      for (const bucket of inDomain(name)) {
        for (const key of await bucket.list()) await bucket.delete(key);
        bucket.fail("any");
      }
      await expectReadable();
      const { file: after } = await vault.verifier.verify(file.hash, vault.caller, UNPACED);
      expect(after.status).toBe("available");
      for (const bucket of inDomain(name)) bucket.heal();
      // A replica that suspects nobody spreads out what had to share a domain.
      const buckets = await vault.replica();
      await scrub({ ...vault.scrubbable, buckets }, { ...UNPACED, repairsUnreadable: false });
      for (const other of new Set(domains)) {
        for (const bucket of inDomain(other)) bucket.fail("any");
        await expectReadable();
        for (const bucket of inDomain(other)) bucket.heal();
      }
    },
  );
});
