/** The operator has to act before the service can start. */
export class NotMigratedError extends Error {
  override readonly name = "NotMigratedError";

  constructor() {
    super("The database does not have this version's tables: run `scattervault migrate` first.");
  }
}
