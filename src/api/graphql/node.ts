/** What every type with a global id has in common. */
import { Field, ID, InterfaceType } from "type-graphql";
import { parseGlobalId } from "./ids.js";

@InterfaceType("Node", {
  description: "Anything that can be fetched again by its global id.",
  resolveType: ({ id }: NodeType) => parseGlobalId(id)?.type,
})
export abstract class NodeType {
  @Field(() => ID) id!: string;
}
