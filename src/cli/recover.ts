/** `scattervault recover`: one file to a path, or the whole database. */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { writeOut } from "./output.js";
import type { PasswordSource } from "./password.js";
import { PASSWORD_VARIABLE, readPassword } from "./password.js";
import { progressBar } from "./progress.js";

type OnProgress = (done: number, total: number) => void;

export interface RecoverCommands {
  /** Reads one file back; `write` gets its bytes. Resolves with what is known of it. `buckets`: in place of `BUCKETS`. */
  recoverFile(
    request: { hash: string; password: string; buckets: string | null; onProgress: OnProgress },
    write: (bytes: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<object>;
  /** Makes the database anew. Resolves with what came back and what did not. */
  recoverAll(request: { buckets: string | null; onProgress: OnProgress }): Promise<object>;
  /** The value of {@link PASSWORD_VARIABLE}. */
  readonly password: string | undefined;
}

interface Options extends PasswordSource {
  readonly all?: true;
  readonly buckets?: string;
  readonly out?: string;
}

export function addRecover(cli: Command, commands: RecoverCommands): void {
  cli
    .command("recover")
    .description("get a file back from its buckets alone, or with --all the database of all files")
    .argument("[hash]", "the file's hash")
    .addOption(new Option("--all", "make an empty database anew; takes MAP_KEY").conflicts(["out"]))
    .option("--buckets <urls>", "in place of BUCKETS: comma-separated gs://name or file:///path")
    .option("--out <file>", "where the file goes; - is standard output")
    .option(
      "--password-file <file>",
      `a file that holds the password; also ${PASSWORD_VARIABLE}, or a prompt`,
    )
    .option("--password-stdin", "read the password from standard input")
    .action((hash: string | undefined, options: Options) => recover(commands, hash, options));
}

async function recover(commands: RecoverCommands, hash: string | undefined, options: Options): Promise<void> {
  const buckets = options.buckets ?? null;
  const progress = progressBar(options.all ? "objects" : "bytes");
  const onProgress: OnProgress = (done, total) => progress.update(done, total);
  try {
    if (options.all) {
      if (hash !== undefined) throw new InvalidArgumentError("--all takes no hash");
      report(await commands.recoverAll({ buckets, onProgress }), progress.stop);
      return;
    }
    const { out } = options;
    if (hash === undefined || out === undefined) throw new InvalidArgumentError("a hash and --out, or --all");
    const password = await readPassword(options, commands.password);
    const request = { hash, password, buckets, onProgress };
    const recovered = await commands.recoverFile(request, bytes => writeOut(out, bytes));
    if (out === "-") progress.stop();
    else report(recovered, progress.stop);
  } finally {
    progress.stop();
  }
}

function report(what: object, stopProgress: () => void): void {
  stopProgress();
  console.log(JSON.stringify(what));
}
