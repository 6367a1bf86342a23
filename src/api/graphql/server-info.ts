/** The limits of this installation, as the schema shows them. */
import { Field, Int, ObjectType, Query, Resolver } from "type-graphql";
import type { ApiDeps } from "../deps.js";
import { ByteSize, Duration } from "./scalars.js";

@ObjectType("ServerInfo", { description: "What a client must know before it uploads. Public." })
export class ServerInfo {
  @Field(() => String) version!: string;
  @Field(() => ByteSize, { nullable: true }) maxFileSize!: number;
  @Field(() => ByteSize) maxMultipartSize!: number;
  @Field(() => ByteSize) defaultChunkSize!: number;
  @Field(() => ByteSize) minChunkSize!: number;
  @Field(() => ByteSize) maxChunkSize!: number;
  @Field(() => Int) minPasswordLength!: number;
  @Field(() => Duration, { nullable: true }) defaultExpiresIn!: number | null;
  @Field(() => Duration, { nullable: true }) maxExpiresIn!: number;
  @Field(() => String) tusEndpoint!: string;
}

@Resolver()
export class ServerInfoResolver {
  constructor(private readonly deps: Pick<ApiDeps, "settings" | "publicUrl">) {}

  @Query(() => ServerInfo, { description: "Limits and addresses. Public." })
  serverInfo(): ServerInfo {
    const { settings, publicUrl } = this.deps;
    return {
      version: settings.version,
      maxFileSize: settings.maxUploadBytes,
      maxMultipartSize: settings.maxUploadBytes,
      defaultChunkSize: settings.defaultChunkBytes,
      minChunkSize: settings.minChunkBytes,
      maxChunkSize: settings.maxChunkBytes,
      minPasswordLength: settings.minPasswordLength,
      defaultExpiresIn: null,
      maxExpiresIn: settings.maxExpiresInSeconds,
      tusEndpoint: `${publicUrl()}/files`,
    };
  }
}
