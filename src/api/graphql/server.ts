/** Apollo Server, hardened: what it may cost, what it may tell, and which status it gives. */
import type { ApolloServerPlugin } from "@apollo/server";
import { ApolloServer } from "@apollo/server";
import { ApolloServerPluginLandingPageDisabled } from "@apollo/server/plugin/disabled";
import { unwrapResolverError } from "@apollo/server/errors";
import { expressMiddleware } from "@as-integrations/express5";
import express from "express";
import type { ErrorRequestHandler, RequestHandler } from "express";
import { Router } from "express";
import type { GraphQLFormattedError } from "graphql";
import { GraphQLError } from "graphql";
import { processRequest } from "graphql-upload-minimal";
import type { MiddlewareFn } from "type-graphql";
import { sendError } from "../answer.js";
import { callerOf } from "../caller.js";
import type { ApiDeps } from "../deps.js";
import { answerOf } from "../errors.js";
import { signalOf } from "../limits.js";
import { describeError } from "../logging.js";
import type { Context } from "./context.js";
import { costLimit } from "./cost.js";
import { topLevelError } from "./errors.js";
import { Loaders } from "./loaders.js";
import { armorOf, parseOptions, QUERY_LIMITS, tooComplex } from "./query-limits.js";
import { schemaOf } from "./schema.js";

const MAX_BODY_BYTES = 100 * 1024;

export interface Graphql {
  readonly handler: RequestHandler;
  stop(): Promise<void>;
}

export async function startGraphql(deps: ApiDeps): Promise<Graphql> {
  const { introspection, queryLimits } = deps.settings;
  const limits = { ...QUERY_LIMITS, ...queryLimits };
  const armor = armorOf(limits);
  const plugins = [
    ...armor.plugins,
    costLimit(limits.cost),
    ApolloServerPluginLandingPageDisabled(),
    statusFollowsAccept,
  ] as ApolloServerPlugin<Context>[]; // they read no context; only exactOptionalPropertyTypes minds
  const apollo = new ApolloServer<Context>({
    ...armor,
    schema: await schemaOf(deps, translateErrors(deps)),
    introspection,
    hideSchemaDetailsFromClientErrors: !introspection,
    includeStacktraceInErrorResponses: false,
    parseOptions: parseOptions(limits),
    allowBatchedHttpRequests: false,
    csrfPrevention: true,
    stopOnTerminationSignals: false, // main drains first
    formatError,
    logger: loggerOf(deps),
    plugins,
  });
  await apollo.start();
  const routes = Router();
  routes.use(async (req, _res, next) => {
    await callerOf(req, deps); // a wrong token is told before anything is read
    next();
  });
  routes.use(express.json({ limit: MAX_BODY_BYTES }), readMultipart);
  routes.use(
    expressMiddleware(apollo, {
      context: async ({ req, res }) => ({
        caller: await callerOf(req, deps),
        requestId: String(req.id),
        signal: signalOf(res),
        loaders: new Loaders(deps),
      }),
    }),
  );
  routes.use(onError(deps));
  return { handler: routes, stop: () => apollo.stop() };
}

/** Takes a multipart request apart, unless Apollo is going to refuse it as a possible CSRF anyway. */
const readMultipart: RequestHandler = async (req, res, next) => {
  const mayBeForged = !req.get("apollo-require-preflight") && !req.get("x-apollo-operation-name");
  if (req.is("multipart/form-data") && !mayBeForged) {
    req.body = await processRequest(req, res, { maxFiles: 1, maxFieldSize: MAX_BODY_BYTES });
  }
  next();
};

/** Gives every failure of a resolver its code; what is ours to mend is logged with the request's id. */
function translateErrors({ isDatabaseAway, log }: ApiDeps): MiddlewareFn<Context> {
  return async ({ context: { requestId } }, next) => {
    try {
      return await next();
    } catch (error) {
      if (error instanceof GraphQLError) throw error;
      const answer = answerOf(error, isDatabaseAway);
      if (answer.status >= 500)
        log.error({ requestId, code: answer.code, err: describeError(error) }, "resolver failed");
      throw topLevelError(answer, requestId);
    }
  };
}

const INVALID_VALUE = /^(Variable "\$\w+") got invalid value .*$/s;

/** What no resolver said is told without detail. Variables that do not fit are told without their values. */
function formatError(formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError {
  if (!(unwrapResolverError(error) instanceof GraphQLError)) {
    return { message: "Internal error", extensions: { code: "INTERNAL_SERVER_ERROR" } };
  }
  const message = formatted.message.replace(INVALID_VALUE, "$1 does not fit its type.");
  return tooComplex(formatted, error) ?? { ...formatted, message };
}

const CLIENT_ERROR = /PARSE_FAILED|VALIDATION_FAILED|BAD_USER_INPUT|QUERY_TOO_COMPLEX/;

/** GraphQL over HTTP: to a client that asked for application/json, a request that is well-formed HTTP is a 200. */
const statusFollowsAccept: ApolloServerPlugin = {
  async requestDidStart({ request }) {
    const accept = request.http?.headers.get("accept") ?? "";
    return {
      async willSendResponse({ response: { http, body } }) {
        const code = body.kind === "single" ? body.singleResult.errors?.[0]?.extensions?.["code"] : undefined;
        const isOurs = http.status === 400 && typeof code === "string" && CLIENT_ERROR.test(code);
        if (isOurs && !accept.includes("graphql-response")) http.status = 200;
      },
    };
  },
};

/** What fails before Apollo has the request, in GraphQL's form. */
function onError({ isDatabaseAway }: ApiDeps): ErrorRequestHandler {
  return async (error, req, res, _next) => {
    await sendError(req, res, error, isDatabaseAway, (answer, requestId) => {
      const { message, extensions } = topLevelError(answer, requestId);
      return { errors: [{ message, extensions }] };
    });
  };
}

function loggerOf({ log }: ApiDeps) {
  const at = (level: "debug" | "info" | "warn" | "error") => (message?: unknown) =>
    log[level](String(message));
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
