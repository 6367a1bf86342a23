/** Secrets that the embedded default makes once, and keeps where only their owner reads. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** The secret in `file`, which is made of `bytes` random ones where it is not there. */
export async function keptSecret(
  file: string,
  { bytes, encoding }: { bytes: number; encoding: "base64" | "base64url" },
): Promise<{ secret: string; isNew: boolean }> {
  const secret = randomBytes(bytes).toString(encoding);
  await mkdir(dirname(file), { recursive: true });
  try {
    await writeFile(file, `${secret}\n`, { mode: 0o600, flag: "wx", flush: true });
    return { secret, isNew: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return { secret: (await readFile(file, "utf8")).trim(), isNew: false };
  }
}
