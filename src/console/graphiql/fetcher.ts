/** One operation, one POST. The schema has no subscriptions and no incremental delivery, so an answer is one JSON value. */
import type { ComponentProps } from "react";
import type { GraphiQL } from "graphiql";

type Fetcher = ComponentProps<typeof GraphiQL>["fetcher"];

export const fetcher: Fetcher = async (operation, options) => {
  const answer = await fetch("/graphql", {
    method: "POST",
    headers: {
      Accept: "application/json",
      "Content-Type": "application/json",
      "Apollo-Require-Preflight": "1",
      ...options?.headers,
    },
    body: JSON.stringify(operation),
    credentials: "omit",
    redirect: "error",
  });
  return answer.json();
};
