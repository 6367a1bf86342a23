/** What every type with a global id has in common. */
import { Field, ID, InterfaceType } from "type-graphql";

@InterfaceType("Node", { description: "Anything that can be fetched again by its global id." })
export abstract class NodeType {
  @Field(() => ID) id!: string;
}
