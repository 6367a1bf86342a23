/**
 * Assembles the parity kernel, `src/format/parity/kernel.wat`, into the bytes that are committed beside it:
 * `node scripts/run.mjs scripts/assemble-kernel.mjs`, after each change of the source.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import initWabt from "wabt";

const FOLDER = join(import.meta.dirname, "../src/format/parity");

const wabt = await initWabt();
const source = readFileSync(join(FOLDER, "kernel.wat"), "utf8");
const assembled = wabt.parseWat("kernel.wat", source, { simd: true });
assembled.validate();
const base64 = Buffer.from(assembled.toBinary({}).buffer).toString("base64");
const lines = base64.match(/.{1,90}/g).map(line => `  "${line}",`);

writeFileSync(
  join(FOLDER, "kernel-bytes.ts"),
  `/** kernel.wat as WebAssembly, in base64. Made by scripts/assemble-kernel.mjs; not to be edited. */
export const KERNEL_BASE64 = [
${lines.join("\n")}
].join("");
`,
);
