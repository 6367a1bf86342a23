/** The bundle that is imported has no types of its own; this is what is used of it. */
declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  interface Options {
    readonly url: string;
    readonly dom_id: string;
    readonly validatorUrl: null;
    readonly defaultModelsExpandDepth: number;
    readonly docExpansion: "list" | "full" | "none";
    readonly tryItOutEnabled: boolean;
  }
  export default function SwaggerUI(options: Options): unknown;
}
