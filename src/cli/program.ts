/** The command line. What the commands do is handed in, so that this file knows only words and options. */
import { Command } from "commander";

export interface Commands {
  /** Serves until a signal. */
  serve(): Promise<void>;
  /** Brings the database to this version's tables. */
  migrate(): Promise<void>;
  /** Removes once what is expired or dead, and prints what it removed. */
  sweep(): Promise<void>;
  /** Writes the GraphQL schema. */
  schema(file: string): Promise<void>;
}

export function program(commands: Commands, version: string): Command {
  const cli = new Command("scattervault")
    .description("Stores files that only the holder of a password can read, scattered over buckets.")
    .version(version)
    .addHelpText("after", "\nSettings come from the environment: see docs/operations.md.");
  cli.command("serve", { isDefault: true }).description("serve until SIGTERM").action(commands.serve);
  cli.command("migrate").description("bring the database up to this version").action(commands.migrate);
  cli.command("sweep").description("remove once what is expired or dead").action(commands.sweep);
  cli.command("schema").description("write the GraphQL schema").argument("<file>").action(commands.schema);
  return cli;
}
