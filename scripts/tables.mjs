/** The tables of docs/graphql.md that follow from the code. Pure: given the code's own tables, Markdown comes out. */
import { isObjectType } from "graphql";

/** One row a code: which status each door gives it, and where GraphQL puts it. */
export function errorsTable(answers, userErrorCodes, graphqlCodes) {
  const rows = Object.entries(answers).map(([code, { status, sentence }]) => {
    const inGraphql = userErrorCodes.includes(code)
      ? "`userErrors`"
      : `\`errors\`, \`${graphqlCodes[code] ?? code}\``;
    return [`\`${code}\``, String(status), inGraphql, sentence.replace(" {reason}", "")];
  });
  return table(["code", "status at REST and tus", "in GraphQL", "sentence"], rows);
}

/** One row a query, mutation and field of File: who may have it, as its description says. */
export function rolesTable(schema) {
  const rows = ["Query", "Mutation", "File"].flatMap(name => {
    const type = schema.getType(name);
    if (!isObjectType(type)) throw new Error(`no type ${name}`);
    return Object.values(type.getFields()).map(field => [`\`${name}.${field.name}\``, roleOf(field, name)]);
  });
  return table(["field", "for whom"], rows);
}

/** The text with `content` between its markers. */
export function between(text, name, content) {
  const pattern = new RegExp(`(<!-- ${name}: written by npm run docs -->\n)[\\s\\S]*?(<!-- end -->)`);
  if (!pattern.test(text)) throw new Error(`no markers for ${name}`);
  return text.replace(pattern, (_, begin, end) => `${begin}\n${content}\n\n${end}`);
}

const ROLES = [
  [/\bPassword, or admin\./, "the file's password, or an administrator"],
  [/\bPassword\./, "the file's password"],
  [/\bAdmin\./, "administrators"],
  [/\btoken\b/, "whoever holds its token"],
  [/\bPublic\b/, "everyone"],
];

function roleOf({ name, description }, typeName) {
  const [, role] = ROLES.find(([pattern]) => pattern.test(description ?? "")) ?? [];
  if (role) return role;
  if (typeName === "File") return "whoever knows the hash";
  throw new Error(`the description of ${typeName}.${name} does not say for whom it is`);
}

function table(heads, rows) {
  const line = cells => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}
