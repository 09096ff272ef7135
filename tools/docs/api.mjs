// The API reference, from the declarations that the compiler wrote (dist/src): what each door exports, with the comment that stands there.
// Who exports what, and from where, says the compiler itself; its API is called unstable, so package-lock.json holds its version.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import GithubSlugger from "github-slugger";
import { API, SymbolFlags } from "typescript/unstable/sync";

/** Doors of package.json by their name there, in the order of the navigation; each is the index.ts of a room. */
const DOORS = {
  client: "client",
  policy: "engine",
  policies: "policies",
  testing: "testing",
  types: "types",
  lab: "lab",
  netlink: "netlink",
};

const KINDS = [
  ["Functions", SymbolFlags.Function],
  ["Classes", SymbolFlags.Class],
  ["Interfaces and types", SymbolFlags.Interface | SymbolFlags.TypeAlias],
  ["Constants", SymbolFlags.Variable],
];

/** The declaration as it stands, without what is nobody's to call. */
function declaration(node) {
  // `const a: T` is inside of a list, which is inside of a statement.
  let whole = node;
  while (whole.parent !== undefined && whole.parent.parent !== undefined) whole = whole.parent;
  return whole
    .getText()
    .replace(/^export (declare )?/, "")
    .replace(/^ {4}(#private|private .*);\n/gm, "");
}

/** Comments are text, and no HTML: `<name>` in them is shown. Names in braces, {@link Name}, are code. */
const prose = (text) =>
  text
    .replace(/\{@link (\S+?)\}/g, "`$1`")
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith("`") ? part : part.replaceAll("<", "&lt;").replaceAll("*", "\\*")))
    .join("");

function describeExport(checker, found, source) {
  const symbol = found.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
  const [kind] = KINDS.find(([, flags]) => symbol.flags & flags) ?? [];
  if (kind === undefined) throw new Error(`${source}: ${found.name} is of no kind that the reference has`);
  const nodes = symbol.declarations.map((handle) => handle.resolve());
  const tags = checker.getJsDocTagsOfSymbol(symbol).map(({ name, text }) => {
    const said = typeof text === "string" ? text : (text ?? []).map((part) => part.text).join("");
    if (name !== "param") return `- **${name}** ${prose(said)}`;
    const [, parameter, rest] = /^(\S+)\s*([\s\S]*)$/.exec(said) ?? ["", "", said];
    return `- \`${parameter}\`: ${prose(rest)}`;
  });
  const file = symbol.declarations[0].path;
  return {
    name: found.name,
    kind,
    doc: prose(checker.getDocumentationCommentOfSymbol(symbol)),
    tags,
    code: [...new Set(nodes.map(declaration))].join("\n"),
    file,
  };
}

/**
 * What the doors of a built clone export.
 * @returns for each door: name, source (its index.ts), exports (name, kind, doc, tags, code, file), in the order of the alphabet
 */
export function readApi(root) {
  const built = (room) => join(root, "dist", "src", room, "index.d.ts");
  const missing = Object.values(DOORS).find((room) => !existsSync(built(room)));
  if (missing !== undefined) throw new Error(`${relative(root, built(missing))} is not there: npm run build`);
  const folder = mkdtempSync(join(tmpdir(), "subflow-api-"));
  const config = join(folder, "tsconfig.json");
  const compilerOptions = {
    ...{ target: "ES2023", lib: ["ES2023"], module: "NodeNext", moduleResolution: "NodeNext", noEmit: true },
    ...{ skipLibCheck: true, types: ["node"], typeRoots: [join(root, "node_modules", "@types")] },
  };
  writeFileSync(config, JSON.stringify({ compilerOptions, files: Object.values(DOORS).map(built) }));
  const api = new API({ cwd: folder });
  try {
    const { program, checker } = api.updateSnapshot({ openProjects: [config] }).getProject(config);
    return Object.entries(DOORS).map(([name, room]) => {
      const source = `src/${room}/index.ts`;
      const door = checker.getSymbolAtLocation(program.getSourceFile(built(room)));
      const exports = checker.getExportsOfModule(door).map((each) => describeExport(checker, each, source));
      for (const each of exports) each.file = relative(join(root, "dist"), each.file).replace(/\.d\.ts$/, ".ts");
      return { name, source, exports: exports.sort((one, other) => (one.name < other.name ? -1 : 1)) };
    });
  } finally {
    api.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The first sentence, in one line. */
const first = (text) => (/^[\s\S]*?\.(?=\s|$)/.exec(text)?.[0] ?? text).replace(/\s+/g, " ");

/** A door's page, as the other pages are: Markdown, which stands in the site for the door's source. Places: name -> address in the site. */
function page({ name, source, exports }) {
  const title = `subflow/${name}`;
  const target = `api-${name}.html`;
  const kinds = KINDS.map(([kind]) => [kind, exports.filter((each) => each.kind === kind)]).filter(
    ([, those]) => those.length > 0,
  );
  // In the order of the headings below: that is what the anchor of the second of a name follows.
  const slugger = new GithubSlugger();
  slugger.slug(title);
  const anchors = new Map();
  for (const [kind, those] of kinds) {
    slugger.slug(kind);
    for (const each of those) anchors.set(each, slugger.slug(each.name));
  }
  const lines = [`# ${title}`, "", `\`import { … } from "${title}"\` ([what for](../../docs/api.md))`, ""];
  for (const [kind, those] of kinds) {
    lines.push(`## ${kind}`, "", "| name | what it is |", "| --- | --- |");
    for (const each of those)
      lines.push(`| [\`${each.name}\`](#${anchors.get(each)}) | ${first(each.doc).replaceAll("|", "\\|")} |`);
    lines.push("");
    for (const { name: word, doc, tags, code, file } of those)
      lines.push(`### ${word}`, "", doc, "", ...tags, "", "```ts", code, "```", "", `From \`${file}\`.`, "");
  }
  const places = exports.map((each) => [each.name, `${target}#${anchors.get(each)}`]);
  return { page: { source, text: lines.join("\n"), title, label: title, target }, places };
}

/** The pages of a built clone, and where each exported name is explained: by the first door that has it. */
export function apiPages(root) {
  const made = readApi(root).map(page);
  return { pages: made.map((each) => each.page), places: new Map(made.reverse().flatMap(({ places }) => places)) };
}
