/**
 * What an operation may cost: as many values as its answer could have, were each page as long as it was asked to be.
 * graphql-armor has a limit of this kind, too, but sees no `first` that comes in a variable or by default, and so
 * bounds what a hundred files with a hundred chunks each cost only where the client happens to write the numbers out.
 */
import type { ApolloServerPlugin } from "@apollo/server";
import type {
  DocumentNode,
  FieldNode,
  GraphQLField,
  GraphQLSchema,
  OperationDefinitionNode,
  SelectionSetNode,
} from "graphql";
import {
  GraphQLError,
  Kind,
  getArgumentValues,
  getNamedType,
  getNullableType,
  getVariableValues,
  isInterfaceType,
  isListType,
  isObjectType,
} from "graphql";
import { TOO_COMPLEX, sentence } from "./query-limits.js";

/** How many entries a list has that no page and no `complexity` of its field bounds. */
const LIST_LENGTH = 10;
/** Where the arguments cannot be read: the longest there is. */
const LONGEST_PAGE = 100;

interface Operation {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** Refuses operations that cost more than `maxCost`, before anything of them runs. */
export function costLimit<T extends object>(maxCost: number): ApolloServerPlugin<T> {
  return {
    async requestDidStart() {
      return {
        async didResolveOperation({ schema, document, operation, request }) {
          const { variables = {} } = request;
          // Apollo itself answers where there is none.
          if (!operation || costOf({ schema, document, operation, variables }) <= maxCost) return;
          const reason = "It asks for too much at once: ask for shorter pages (`first`) or fewer fields.";
          throw new GraphQLError(sentence(reason), {
            extensions: { code: TOO_COMPLEX, http: { status: 400 } },
          });
        },
      };
    },
  };
}

/** The number of values in the longest answer. */
export function costOf({ schema, document, operation, variables }: Operation): number {
  const { coerced = {} } = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
  const fragments = new Map(
    document.definitions.flatMap(node =>
      node.kind === Kind.FRAGMENT_DEFINITION ? [[node.name.value, node]] : [],
    ),
  );
  const known = new Map<string, number>(); // a fragment is counted once, however often it is spread

  const selectionCost = (set: SelectionSetNode, typeName: string, page: number | null): number =>
    set.selections.reduce((sum, selection) => {
      if (selection.kind === Kind.FIELD) return sum + fieldCost(selection, typeName, page);
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        return (
          sum + selectionCost(selection.selectionSet, selection.typeCondition?.name.value ?? typeName, page)
        );
      }
      return sum + fragmentCost(selection.name.value, page);
    }, 0);

  const fragmentCost = (name: string, page: number | null): number => {
    const key = `${name} ${page}`;
    const fragment = fragments.get(name);
    const cost =
      known.get(key) ??
      (fragment ? selectionCost(fragment.selectionSet, fragment.typeCondition.name.value, page) : 0);
    known.set(key, cost);
    return cost;
  };

  const fieldCost = (node: FieldNode, typeName: string, page: number | null): number => {
    const type = schema.getType(typeName);
    const field = isObjectType(type) || isInterfaceType(type) ? type.getFields()[node.name.value] : undefined;
    if (!field) return 1; // __typename; and the schema itself, which graphql-js bounds
    const isList = isListType(getNullableType(field.type));
    const length = isList ? (page ?? lengthOf(field)) : 1;
    if (!node.selectionSet) return length;
    const own = pageLength(field, node, coerced);
    return length * (1 + selectionCost(node.selectionSet, getNamedType(field.type).name, own));
  };

  const root = schema.getRootType(operation.operation);
  return root ? selectionCost(operation.selectionSet, root.name, null) : 0;
}

function lengthOf({ extensions }: GraphQLField<unknown, unknown>): number {
  return typeof extensions["complexity"] === "number" ? extensions["complexity"] : LIST_LENGTH;
}

/** How long the lists below a field with pages are; null for a field without. */
function pageLength(
  field: GraphQLField<unknown, unknown>,
  node: FieldNode,
  variables: Readonly<Record<string, unknown>>,
): number | null {
  if (!field.args.some(({ name }) => name === "first")) return null;
  try {
    const { first, last } = getArgumentValues(field, node, variables);
    return Math.max(1, Number(last ?? first ?? LONGEST_PAGE));
  } catch {
    return LONGEST_PAGE;
  }
}
