/**
 * What one document may ask for, decided before anything of it runs. These keep a stranger from making us work; what
 * keeps one from guessing passwords is counted per try, in core, whatever the document looks like.
 */
import { ApolloArmor } from "@escape.tech/graphql-armor";
import type { GraphQLFormattedError, ValidationContext } from "graphql";
import { GraphQLError } from "graphql";

/** Far above what the console and the operations of schema/operations need. */
export const QUERY_LIMITS = {
  /** Also bounds how many fields there are, and how often one is repeated. */
  tokens: 1000,
  aliases: 5,
  depth: 8,
  /** Values of the longest answer (cost.ts): a hundred files with five chunks each, in all their fields, are about 15,000. */
  cost: 20_000,
  directives: 10,
};

export type QueryLimits = Readonly<typeof QUERY_LIMITS>;

/** The code of the contract for all of them. */
export const TOO_COMPLEX = "QUERY_TOO_COMPLEX";

/** Validation rules for Apollo; the one for tokens is {@link parseOptions}. Reading the schema is bounded by graphql-js. */
export function armorOf(limits: QueryLimits) {
  const { aliases, depth, directives } = limits;
  return new ApolloArmor({
    maxTokens: { enabled: false }, // turns every syntax error into a 500; graphql-js has the same limit
    blockFieldSuggestion: { enabled: false }, // hideSchemaDetailsFromClientErrors does it
    maxAliases: { n: aliases, allowList: [], ...reject(`It may have at most ${aliases} aliases.`) },
    maxDepth: { n: depth, ...reject(`It may be at most ${depth} levels deep, fragments included.`) },
    costLimit: { enabled: false }, // sees no `first` in a variable or by default; cost.ts does
    maxDirectives: { n: directives, ...reject(`It may have at most ${directives} directives.`) },
  }).protect();
}

export function parseOptions({ tokens }: QueryLimits): { maxTokens: number } {
  return { maxTokens: tokens };
}

/** What graphql-js says when a document passes its own bounds: tokens, and comparisons of fields with one name. */
const TOO_MANY_TOKENS = /contains more tha[nt] (\d+) tokens/;
const TOO_MANY_COMPARISONS = "Validation aborted.";

/** An error about complexity, as the contract has it; null for other errors. */
export function tooComplex(formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError | null {
  const { message } = formatted;
  const [, tokens] = TOO_MANY_TOKENS.exec(message) ?? [];
  const extensions = { code: TOO_COMPLEX };
  if (tokens !== undefined) return { message: sentence(`It may have at most ${tokens} tokens.`), extensions };
  if (message === TOO_MANY_COMPARISONS) {
    return { message: sentence("It asks for the same fields too often."), extensions };
  }
  // Apollo puts a code of its own on all that validation finds, and keeps what we reported below.
  const reported = error instanceof GraphQLError ? error.originalError : null;
  const isOurs = reported instanceof GraphQLError && reported.extensions["code"] === TOO_COMPLEX;
  return isOurs ? { message, extensions } : null;
}

/** Instead of armor's own message, which calls it a syntax error and has no code. */
function reject(reason: string) {
  const onReject = (context: ValidationContext | null) =>
    context?.reportError(new GraphQLError(sentence(reason), { extensions: { code: TOO_COMPLEX } }));
  return { onReject: [onReject], propagateOnRejection: false };
}

export function sentence(reason: string): string {
  return `The document is too complex. ${reason}`;
}
