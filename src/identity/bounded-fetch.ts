/** One GET of a small JSON document of the identity provider: bounded in time and size, and never sent on elsewhere. */

/** Far above any provider's keys; what is longer is not read to its end. */
const MAX_BYTES = 1024 * 1024;

/**
 * The document at `url`. Rejects for any status but 200 (a redirect is one), a body that is longer than 1 MiB or no JSON,
 * and with the signal's reason.
 */
export async function fetchJson(url: string, signal: AbortSignal): Promise<unknown> {
  const answer = await fetch(url, { redirect: "manual", signal, headers: { Accept: "application/json" } });
  if (answer.status !== 200) {
    await answer.body?.cancel();
    throw new Error(`${url} answered ${answer.status}`);
  }
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of answer.body ?? []) {
    length += piece.length;
    if (length > MAX_BYTES) throw new Error(`${url} answered more than ${MAX_BYTES} bytes`); // ends the loop: cancelled
    pieces.push(piece);
  }
  return JSON.parse(Buffer.concat(pieces).toString("utf8"));
}
