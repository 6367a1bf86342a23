/**
 * Which buckets there are, as the operator writes it (`BUCKETS`):
 *
 *     gs://name?region=europe-west1&domain=google,file:///srv/a?domain=disk-1
 *
 * A comma in a path is written %2C. `region` and `domain` are optional; a domain is what fails together.
 */
import { fileURLToPath } from "node:url";
import type { BucketRecord } from "../core/model.js";

export interface BucketSpec extends Pick<BucketRecord, "name" | "region"> {
  readonly provider: "gcs" | "disk";
  /** The bucket's name at Google, or the absolute path of the folder. */
  readonly target: string;
  /** Buckets of one domain fail together: placement keeps the chunks of a stripe apart. Null: a domain of its own. */
  readonly domain: string | null;
}

/** All that is wrong with the text, one sentence each. */
export class BucketSpecError extends Error {
  override readonly name = "BucketSpecError";

  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

const FORM = "expected gs://name or file:///absolute/path, with optional ?region=…&domain=…";
// https://cloud.google.com/storage/docs/buckets#naming
const GCS_NAME = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
const OPTIONS = ["region", "domain"] as const;
const OPTION_VALUE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Reads a comma-separated list of bucket URLs. Throws a {@link BucketSpecError} with every problem at once. */
export function parseBucketUrls(text: string): BucketSpec[] {
  const specs: BucketSpec[] = [];
  const problems: string[] = [];
  for (const entry of text.split(",").map(part => part.trim())) {
    try {
      const spec = parseBucketUrl(entry);
      if (specs.some(({ name }) => name === spec.name)) problems.push(`bucket ${spec.name} is named twice`);
      specs.push(spec);
    } catch (error) {
      problems.push(
        `bucket ${JSON.stringify(entry)}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  if (problems.length > 0) throw new BucketSpecError(problems);
  return specs;
}

function parseBucketUrl(text: string): BucketSpec {
  if (!URL.canParse(text)) throw new Error(FORM);
  const url = new URL(text);
  if (url.username || url.password || url.port || url.hash) throw new Error(`only a name or a path: ${FORM}`);
  const options = parseOptions(url.searchParams);
  switch (url.protocol) {
    case "gs:":
      return { provider: "gcs", ...gcsTarget(url), ...options };
    case "file:":
      return { provider: "disk", ...diskTarget(url), ...options };
    default:
      throw new Error(`unknown provider ${url.protocol}//; ${FORM}`);
  }
}

function gcsTarget(url: URL): Pick<BucketSpec, "name" | "target"> {
  if (url.pathname !== "" && url.pathname !== "/") {
    throw new Error("a path inside a bucket is not supported; give the whole bucket, gs://name");
  }
  if (!GCS_NAME.test(url.hostname)) {
    throw new Error("not a bucket name: 3 to 222 lower-case letters, digits, dots, dashes or underscores");
  }
  return { name: `gs://${url.hostname}`, target: url.hostname };
}

function diskTarget(url: URL): Pick<BucketSpec, "name" | "target"> {
  if (url.hostname !== "") throw new Error("a folder is written with three slashes, file:///absolute/path");
  const pathname = url.pathname.replace(/\/+$/, "");
  if (pathname === "") throw new Error("the root of the file system cannot be a bucket");
  return { name: `file://${pathname}`, target: fileURLToPath(`file://${pathname}`) };
}

function parseOptions(query: URLSearchParams): Pick<BucketSpec, "region" | "domain"> {
  for (const [option, value] of query) {
    if (!OPTIONS.some(known => known === option)) {
      throw new Error(`unknown option ${JSON.stringify(option)}; allowed: ${OPTIONS.join(", ")}`);
    }
    if (query.getAll(option).length > 1) throw new Error(`option ${option} is given twice`);
    if (!OPTION_VALUE.test(value)) {
      throw new Error(`option ${option}: 1 to 63 letters, digits, dots, dashes or underscores`);
    }
  }
  return { region: query.get("region"), domain: query.get("domain") };
}
