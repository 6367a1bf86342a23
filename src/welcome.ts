/** What a newcomer sees when the embedded default starts: where it is, who is the administrator, what to paste first. */

export interface Welcome {
  /** Made just now, and shown this once. */
  readonly newAdminToken: string | null;
  /** Where it is kept; null when it is configured. */
  readonly adminTokenFile: string | null;
}

export function welcome(url: string, { newAdminToken, adminTokenFile }: Welcome): string {
  const kept = adminTokenFile === null ? "as configured" : `in ${adminTokenFile}`;
  const admin =
    newAdminToken === null
      ? `Admin token: ${kept}`
      : `Admin token, shown this once, kept ${kept}: ${newAdminToken}`;
  return `
Scattervault is ready at ${url}
${admin}

Try it in another terminal: upload this README, get a link with its hash and password, download it.

  hash=$(curl -sS -F file=@README.md -F password='correct horse' ${url}/api/upload | grep -o '[0-9a-f]\\{64\\}')
  link=$(curl -sS -u :'correct horse' ${url}/api/retrieve/$hash | grep -o 'http[^"]*')
  curl -sS -o README.copy.md "$link" && cmp README.md README.copy.md && echo it is the same

`;
}
