/** What a server counts, read as Prometheus reads it. */

/** The sample called `name`, without labels. */
export async function metric(url: string, adminToken: string, name: string): Promise<number> {
  const answer = await fetch(`${url}/metrics`, { headers: { Authorization: `Bearer ${adminToken}` } });
  const [, value] = new RegExp(`^${name} (\\S+)$`, "m").exec(await answer.text()) ?? [];
  if (value === undefined) throw new Error(`there is no metric ${name}`);
  return Number(value);
}
