import { existsSync } from "node:fs";
import sparticuz from "@sparticuz/chromium";

/**
 * Where the system's Chromium lies, or else the one that comes with the packages (x64 Linux), which is unpacked for that: whoever
 * asks while another unpacks gets half a program.
 */
export async function chromiumPath(): Promise<string> {
  const system = [process.env["CHROMIUM_PATH"], "/usr/bin/chromium"].find(path => path && existsSync(path));
  return system ?? (await sparticuz.executablePath());
}
