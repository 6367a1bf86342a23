/** Global ids: opaque to clients, unique over all types, stable. */

export function globalId(type: string, ...parts: readonly (string | number)[]): string {
  return Buffer.from([type, ...parts].join(":")).toString("base64url");
}
