/** A tus client as bare as it can be, for tests that look at single requests; and the way back by hash and password. */

export const PASSWORD = "correct horse";
const TUS = { "Tus-Resumable": "1.0.0" };

/** Begins an upload and returns its path, which is good at every replica. */
export async function begin(url: string, length: number, chunkBytes: number): Promise<string> {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const response = await fetch(`${url}/files`, {
    method: "POST",
    headers: {
      ...TUS,
      "Upload-Length": String(length),
      "Upload-Password": base64(PASSWORD),
      "Upload-Metadata": `filename ${base64("chaos.bin")},chunk_size ${base64(String(chunkBytes))}`,
    },
  });
  const location = response.headers.get("Location");
  if (response.status !== 201 || !location) throw new Error(`${response.status} ${await response.text()}`);
  return new URL(location).pathname;
}

/** Status and offset of one PATCH; throws when the connection breaks. */
export async function patch(
  url: string,
  path: string,
  offset: number,
  body: Uint8Array,
): Promise<{ status: number; offset: number | null; text: string }> {
  const response = await fetch(url + path, {
    method: "PATCH",
    headers: { ...TUS, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" },
    body: new Uint8Array(body),
  });
  const text = await response.text();
  const now = response.headers.get("Upload-Offset");
  return { status: response.status, offset: now === null ? null : Number(now), text };
}

export async function head(url: string, path: string): Promise<{ offset: number; hash: string | null }> {
  const response = await fetch(url + path, { method: "HEAD", headers: TUS });
  if (response.status !== 200) throw new Error(`HEAD: ${response.status}`);
  return { offset: Number(response.headers.get("Upload-Offset")), hash: response.headers.get("File-Hash") };
}

export async function download(url: string, hash: string, password = PASSWORD): Promise<Uint8Array> {
  const headers = { "File-Password": Buffer.from(password).toString("base64") };
  const answer = await fetch(`${url}/api/retrieve/${hash}`, { headers });
  const { download_link: link, code } = (await answer.json()) as { download_link?: string; code?: string };
  if (!link) throw new Error(`retrieve: ${answer.status} ${code}`);
  const response = await fetch(url + new URL(link).pathname);
  if (response.status !== 200) throw new Error(`download: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
