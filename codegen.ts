/** Typed documents for the tests, from the emitted schema and schema/operations. Run with `npm run codegen`. */
import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "schema/schema.graphql",
  documents: "schema/operations/*.graphql",
  importExtension: ".js", // nodenext resolves nothing else (TS2835)
  generates: {
    "test/generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        strictScalars: true,
        useTypeImports: true,
        enumsAsTypes: true,
        documentMode: "string",
        scalars: {
          ByteSize: "number",
          DateTime: "string",
          Duration: "string",
          Sha256: "string",
          Upload: "null",
        },
      },
    },
  },
};

export default config;
