/** The command line. What the commands do is handed in, so that this file knows only words and options. */
import { Command, InvalidArgumentError } from "commander";
import type { AuditHead } from "../core/audit.js";
import type { RecoverCommands } from "./recover.js";
import { addRecover } from "./recover.js";

export interface Commands extends RecoverCommands {
  /** Serves until a signal. */
  serve(): Promise<void>;
  /** Brings the database to this version's tables. */
  migrate(): Promise<void>;
  /** Removes once what is expired or dead, and prints what it removed. */
  sweep(): Promise<void>;
  /** Checks the audit log and prints its head, or where it is broken. */
  auditVerify(heads: { from?: AuditHead; expect?: AuditHead }): Promise<void>;
  /** Prints the audit log, a JSON object a line. */
  auditExport(heads: { from?: AuditHead }): Promise<void>;
  /** Empties a bucket, showing how far it is, and prints what was moved. */
  drain(bucket: string): Promise<void>;
  /** Reads everything once and repairs what is bad. */
  scrub(): Promise<void>;
  /** Repairs once what is known to be bad. */
  repair(): Promise<void>;
  /** Reads one file whole and repairs what is bad of it. */
  verify(hash: string): Promise<void>;
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
  const audit = cli.command("audit").description("the audit log: see docs/audit.md");
  audit
    .command("verify")
    .description("check the whole log: exit 0 and its head, or 1 and the first entry that is broken")
    .option("--expect <number:hash>", "a head of an earlier run, which must still be there", auditHead)
    .option(
      "--from <number:hash>",
      "the last entry of an archived part, after which this one begins",
      auditHead,
    )
    .action(commands.auditVerify);
  audit
    .command("export")
    .description("print the log, oldest first, a JSON object a line")
    .option("--from <number:hash>", "begin after this entry", auditHead)
    .action(commands.auditExport);
  cli
    .command("drain")
    .description("move everything out of a bucket, and wait until it is empty")
    .argument("<bucket>", "its URL as in BUCKETS, without options")
    .action(commands.drain);
  cli
    .command("scrub")
    .description(
      "read everything once, and rebuild what is missing, corrupt or in a bucket that does not answer",
    )
    .action(commands.scrub);
  cli
    .command("repair")
    .description("rebuild once what is known to be missing or corrupt")
    .action(commands.repair);
  cli
    .command("verify")
    .description("read one file whole, and rebuild what is bad: exit 1 if not all of it could be")
    .argument("<hash>", "the file's hash")
    .action(commands.verify);
  cli.command("schema").description("write the GraphQL schema").argument("<file>").action(commands.schema);
  addRecover(cli, commands);
  return cli;
}

const AUDIT_HEAD = /^(\d{1,15}):([0-9a-f]{64})$/;

function auditHead(text: string): AuditHead {
  const [, seq, hash] = AUDIT_HEAD.exec(text) ?? [];
  if (seq === undefined || hash === undefined) {
    throw new InvalidArgumentError("A head is a number, a colon, and 64 hexadecimal digits.");
  }
  return { seq: Number(seq), hash };
}
