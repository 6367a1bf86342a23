/**
 * `/openapi.json`: OpenAPI 3.1 of everything but GraphQL, with the bounds of this installation. The parameters are the
 * schemas that parse them, the errors come from the catalogue; test/api/openapi.test.ts calls what is said here.
 */
import { z } from "zod";
import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject } from "zod-openapi";
import { createDocument } from "zod-openapi";
import type { ApiDeps } from "./deps.js";
import { STORAGE_CODES, TOKEN_CODES, errorResponses } from "./openapi-errors.js";
import { RETRIEVE_PARAMETERS, uploadFields } from "./rest/parameters.js";
import type { ParameterBounds } from "./rest/parameters.js";

type Settings = ParameterBounds & Pick<ApiDeps["settings"], "version" | "servesMetrics">;

const HASH = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .meta({ description: "What the upload answered.", id: "Hash" });
const TOKEN = z
  .string()
  .meta({ description: "43 characters: the right itself. Never in a log.", id: "Token" });
const BYTES = { schema: { type: "string", format: "binary" } } as const;
const BEARER = [{}, { bearer: [] }];

export function openapiDocument(settings: Settings) {
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: "Scattervault",
      version: settings.version,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      description:
        "Stores files that only the holder of a password can read. Uploads that survive a broken network are tus 1.0 " +
        "(docs/uploads.md); everything else that can be done with a file, and all of the administration, is GraphQL " +
        "at /graphql (docs/graphql.md). A method that an address does not know is answered with 405 and Allow.",
    },
    servers: [{ url: "/" }],
    paths: { ...restPaths(settings), ...tusPaths(), ...healthPaths(settings) },
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "Of an uploader or administrator." },
        filePassword: {
          type: "http",
          scheme: "basic",
          description: "The file's password, with any user name.",
        },
      },
    },
  });
}

function restPaths(settings: Settings): ZodOpenApiPathsObject {
  const retrieve = {
    tags: ["files"],
    security: [{}, { filePassword: [] }],
    responses: {
      200: json("The link.", { status: z.literal("success"), download_link: z.url() }),
      ...errorResponses(
        [
          "BAD_REQUEST",
          "INVALID_HASH",
          "EXPIRY_OUT_OF_RANGE",
          "MAX_DOWNLOADS_OUT_OF_RANGE",
          ...TOKEN_CODES,
          "WRONG_PASSWORD",
          "NOT_FOUND",
          "FILE_GONE",
          "PASSWORD_TOO_LONG",
          "TOO_MANY_ATTEMPTS",
          ...STORAGE_CODES,
        ],
        ["MISSING_PASSWORD"],
      ),
    },
  } satisfies Partial<ZodOpenApiOperationObject>;
  const filePassword = z.object({
    "File-Password": z.string().optional().meta({ description: "The password: base64 of its UTF-8 bytes." }),
  });
  return {
    "/api/upload": {
      post: {
        tags: ["files"],
        summary: "Store a file",
        description: "The parts may come in any order. For files that take long to send, see /files.",
        security: BEARER,
        requestBody: {
          required: true,
          content: {
            "multipart/form-data": {
              schema: uploadFields(settings).extend({ file: z.any().meta({ override: BYTES.schema }) }),
            },
          },
        },
        responses: {
          201: json("The file is stored.", { status: z.literal("success"), hash: HASH }),
          ...errorResponses([
            "BAD_REQUEST",
            "MISSING_FILE",
            "MISSING_PASSWORD",
            "CHUNK_SIZE_OUT_OF_RANGE",
            "EXPIRY_OUT_OF_RANGE",
            "MAX_DOWNLOADS_OUT_OF_RANGE",
            ...TOKEN_CODES,
            "FORBIDDEN",
            "SLOW_CLIENT",
            "FILE_TOO_LARGE",
            "UNSUPPORTED_MEDIA_TYPE",
            "PASSWORD_TOO_SHORT",
            "PASSWORD_TOO_LONG",
            "PASSWORD_TOO_COMMON",
            "RATE_LIMITED",
            ...STORAGE_CODES,
            "STORAGE_FULL",
          ]),
        },
      },
    },
    "/api/retrieve/{hash}": {
      get: {
        ...retrieve,
        summary: "Get a download link",
        requestParams: { path: z.object({ hash: HASH }), query: RETRIEVE_PARAMETERS, header: filePassword },
      },
      post: {
        ...retrieve,
        summary: "Get a download link, with the password in the body",
        requestParams: { path: z.object({ hash: HASH }), header: filePassword },
        requestBody: {
          content: {
            "application/json": { schema: RETRIEVE_PARAMETERS },
            "application/x-www-form-urlencoded": { schema: RETRIEVE_PARAMETERS },
          },
        },
        responses: { ...retrieve.responses, ...errorResponses(["SLOW_CLIENT", "UNSUPPORTED_MEDIA_TYPE"]) },
      },
    },
    "/d/{token}": { get: download("Download the file"), head: download("Ask about the file") },
  };
}

function download(summary: string): ZodOpenApiOperationObject {
  const isGet = summary.startsWith("Download");
  const optional = (description: string) => z.string().optional().meta({ description });
  const content = isGet ? { content: { "*/*": BYTES } } : {};
  return {
    tags: ["files"],
    summary,
    ...(isGet && { description: "A use is counted when a download begins at the first byte." }),
    security: [],
    requestParams: {
      path: z.object({ token: TOKEN }),
      header: z.object({
        Range: optional("One range of bytes."),
        "If-Range": optional("The ETag that the range is of."),
        "If-None-Match": optional("ETags that the client has."),
      }),
    },
    responses: {
      200: { description: "The whole file, always as an attachment.", ...content },
      206: { description: "The range.", ...content },
      304: { description: "The client has it." },
      ...errorResponses([
        "NOT_FOUND",
        "FILE_GONE",
        "LINK_EXPIRED",
        "RANGE_NOT_SATISFIABLE",
        "FILE_UNAVAILABLE",
        ...STORAGE_CODES,
      ]),
    },
  };
}

function tusPaths(): ZodOpenApiPathsObject {
  const path = z.object({ token: TOKEN });
  const version = { "Tus-Resumable": z.literal("1.0.0") };
  const about = { tags: ["resumable uploads (tus 1.0)"], description: "In full in docs/uploads.md." };
  return {
    "/files": {
      post: {
        ...about,
        summary: "Begin an upload",
        security: BEARER,
        requestParams: {
          header: z.object({
            ...version,
            "Upload-Length": z.string().optional().meta({ description: "Bytes; or Upload-Defer-Length: 1." }),
            "Upload-Password": z.string().meta({ description: "Base64 of the password's UTF-8 bytes." }),
            "Upload-Metadata": z.string().optional().meta({
              description: "filename, filetype, chunk_size, expires_in, max_downloads; never the password.",
            }),
          }),
        },
        responses: {
          201: { description: "`Location` is the address of the upload: the right to continue it." },
        },
      },
    },
    "/files/{token}": {
      head: {
        ...about,
        summary: "Where to continue",
        requestParams: { path, header: z.object(version) },
        responses: { 200: { description: "`Upload-Offset`; once it is a file, `File-Hash`." } },
      },
      patch: {
        ...about,
        summary: "Send bytes from the offset on",
        requestParams: { path, header: z.object({ ...version, "Upload-Offset": z.string() }) },
        requestBody: { required: true, content: { "application/offset+octet-stream": BYTES } },
        responses: { 204: { description: "The new `Upload-Offset`; with the last byte, `File-Hash`." } },
      },
      delete: {
        ...about,
        summary: "Abandon the upload",
        requestParams: { path, header: z.object(version) },
        responses: { 204: { description: "What was sent is dropped." } },
      },
    },
  };
}

function healthPaths({ servesMetrics }: Settings): ZodOpenApiPathsObject {
  const about = { tags: ["operation"], security: [] };
  return {
    "/healthz": {
      get: {
        ...about,
        summary: "The process lives",
        responses: { 200: json("It does.", { status: z.literal("ok") }) },
      },
    },
    "/readyz": {
      get: {
        ...about,
        summary: "Traffic may come",
        responses: {
          200: json("The database answers and a stripe can be written.", { status: z.literal("ready") }),
          503: json("Not now, or not any more.", { status: z.literal("not ready") }),
        },
      },
    },
    ...(servesMetrics && {
      "/metrics": {
        get: {
          ...about,
          summary: "Prometheus metrics, for administrators",
          security: [{ bearer: [] }],
          responses: {
            200: { description: "The metrics.", content: { "text/plain": { schema: { type: "string" } } } },
            ...errorResponses([...TOKEN_CODES, "FORBIDDEN"]),
          },
        },
      },
    }),
  };
}

function json(description: string, shape: z.ZodRawShape) {
  return { description, content: { "application/json": { schema: z.object(shape) } } };
}
