/** What the client asked for below a field, for a resolver that works less when it was asked for less. */
import type { GraphQLResolveInfo, SelectionNode } from "graphql";

/** Whether `name` is among the fields selected directly below; as if there were no @skip and @include. */
export function isSelected({ fieldNodes, fragments }: GraphQLResolveInfo, name: string): boolean {
  const isIn = (selection: SelectionNode): boolean => {
    if (selection.kind === "Field") return selection.name.value === name;
    const { selectionSet } =
      selection.kind === "InlineFragment" ? selection : (fragments[selection.name.value] ?? {});
    return selectionSet?.selections.some(isIn) ?? false;
  };
  return fieldNodes.some(({ selectionSet }) => selectionSet?.selections.some(isIn));
}
