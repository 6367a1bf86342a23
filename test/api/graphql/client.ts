/** GraphQL as a client speaks it: generated documents in, typed data out. */
import type { TypedDocumentString } from "../../generated/graphql.js";

export interface GraphqlAnswer<T> {
  readonly status: number;
  readonly data: T | null | undefined;
  readonly errors:
    | readonly { message: string; extensions: { code?: string; requestId?: string } }[]
    | undefined;
}

const JSON_TYPE = { "Content-Type": "application/json" };

export async function ask<T, V>(
  url: string,
  document: TypedDocumentString<T, V>,
  variables: V,
  headers: Record<string, string> = {},
): Promise<GraphqlAnswer<T>> {
  return post<T>(url, { query: document.toString(), variables }, headers);
}

/** Any body at all, also what no document of ours would be. */
export async function post<T = unknown>(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<GraphqlAnswer<T>> {
  const init = { method: "POST", headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify(body) };
  return answerOf<T>(await fetch(`${url}/graphql`, init));
}

/** The GraphQL multipart request: operations, map, and one file. */
export async function postFile<T, V>(
  url: string,
  document: TypedDocumentString<T, V>,
  input: object,
  file: File,
  headers: Record<string, string> = { "Apollo-Require-Preflight": "1" },
): Promise<GraphqlAnswer<T>> {
  const form = new FormData();
  form.set(
    "operations",
    JSON.stringify({ query: document.toString(), variables: { input: { ...input, file: null } } }),
  );
  form.set("map", JSON.stringify({ 0: ["variables.input.file"] }));
  form.set("0", file);
  return answerOf<T>(await fetch(`${url}/graphql`, { method: "POST", headers, body: form }));
}

async function answerOf<T>(answer: Response): Promise<GraphqlAnswer<T>> {
  const { data, errors } = (await answer.json()) as Pick<GraphqlAnswer<T>, "data" | "errors">;
  return { status: answer.status, data, errors };
}
