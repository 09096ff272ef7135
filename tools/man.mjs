// The manual pages, from what the program itself knows: the table of commands, the schema of the configuration, and what docs/policies.md
// says of each policy. `node tools/man.mjs FOLDER` writes them; the package and the tests take them from here.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { markdown, Page } from "./man/roff.mjs";
import { root } from "./setup.mjs";

const load = (file) => import(join(root, "dist", "src", file));
const { COMMANDS } = await load("cli/table.js");
const { GLOBAL_OPTIONS } = await load("cli/global-options.js");
const { policies } = await load("policies/index.js");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Of the newest commit: the same sources give the same pages. */
function date() {
  const epoch = process.env.SOURCE_DATE_EPOCH;
  if (epoch !== undefined) return new Date(Number(epoch) * 1000).toISOString().slice(0, 10);
  try {
    return execFileSync("git", ["log", "-1", "--format=%cs"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "";
  }
}

const page = (name, section, summary) => new Page({ name, section, summary, version, date: date() });
const visible = COMMANDS.filter(({ hidden }) => !hidden);
const nouns = [...new Set(visible.map(({ words }) => words[0]))];
const verbsOf = (noun) => visible.filter(({ words }) => words[0] === noun);
const capitalised = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
const manual = (name, section) => `\`${name}\`(${section})`;

/** Every page: its file ("subflow-run.1") and its text. */
export function writeManPages() {
  return [
    { file: "subflow.1", text: overview() },
    ...nouns.map((noun) => ({ file: `subflow-${noun}.1`, text: ofNoun(noun) })),
    { file: "subflow.yaml.5", text: configuration() },
    { file: "subflow-policies.7", text: ofPolicies() },
  ];
}

function options(to, list) {
  for (const { short, long, name, value, says } of list) {
    const dashed = `${short ? `-${short}, ` : ""}--${long ?? name}${value ? ` ${value}` : ""}`;
    to.definition(dashed, says);
  }
}

const EXIT_STATUSES = [
  ["0", "done; also `monitor` after ^C, and every `--help`"],
  ["1", "everything that has no number of its own, such as a word that should be an address and is none"],
  ["2", "the kernel refused, or we did because it would have"],
  ["3, 4", "`doctor`: warnings, errors"],
  ["70", "`run`: a fault of the daemon, which has put back what it could"],
  ["126, 127", "`exec`: the program may not be run, there is none"],
  ["130, 141", "ended by ^C; nobody read the output any more"],
  ["255", "the command line is wrong, or the namespace cannot be entered"],
];

function overview() {
  const to = page("subflow", "1", "show and steer the paths of Multipath TCP connections");
  to.section("Synopsis").synopsis("subflow", "[ OPTIONS ] COMMAND");
  to.section("Description");
  to.paragraph(
    "Subflow is a path manager for Multipath TCP on Linux: it decides which subflows a connection has and which addresses " +
      "are announced, or sets the one in the kernel so that it decides well. This command shows and steers both.",
  );
  to.paragraph(
    "`endpoint`, `limits` and `monitor` are those of ip-mptcp(8): same words, abbreviations, output and exit statuses. " +
      "Each command has a page of its own: `man subflow-COMMAND`, or `subflow help COMMAND`.",
  );
  to.section("Commands");
  for (const { words, summary } of visible) to.definition(words.join(" "), `${summary}`);
  to.section("Options");
  options(to, GLOBAL_OPTIONS);
  to.paragraph("Before the first word options may be abbreviated and have one dash, as in ip(8).");
  to.section("Exit status");
  for (const [status, says] of EXIT_STATUSES) to.definition(status, says);
  to.section("Environment");
  to.definition(
    "SUBFLOW_RUNTIME_DIRECTORY",
    "where daemons keep lock, state and control socket, instead of /run/subflow",
  );
  to.definition("NO_COLOR", "never colour");
  to.definition("COLUMNS", "the width of the terminal, instead of its own");
  to.section("Files");
  to.definition("/etc/subflow/subflow.yaml, /etc/subflow/conf.d/*.yaml", "the configuration: subflow.yaml(5)");
  to.definition("/run/subflow", "lock, state and control socket of each daemon, by the inode of its network namespace");
  to.definition("/etc/default/subflow", "SUBFLOW_OPTIONS of subflow.service, where it exists");
  const others = nouns.map((noun) => manual(`subflow-${noun}`, 1));
  to.section("See also");
  to.paragraph([...others, manual("subflow.yaml", 5), manual("subflow-policies", 7), manual("ip-mptcp", 8)].join(", "));
  return to.text();
}

/** One page for a noun with all its verbs, as people look for it. */
function ofNoun(noun) {
  const commands = verbsOf(noun);
  const summary = commands.length === 1 ? commands[0].summary : `${commands.map(({ words }) => words[1]).join(", ")}`;
  const to = page(`subflow-${noun}`, "1", commands.length === 1 ? summary : `the commands ${noun} ${summary}`);
  to.section("Synopsis");
  for (const { words, usage } of commands) to.synopsis(`subflow ${words.join(" ")}`, usage);
  to.section("Description");
  for (const command of commands) describe(to, command, commands.length > 1);
  to.section("Global options");
  options(to, GLOBAL_OPTIONS);
  to.section("Examples");
  to.literal(commands.flatMap(({ examples }) => examples.map((example) => `subflow ${example}`)).join("\n"));
  to.section("Exit status").paragraph("As in `subflow`(1).");
  const more = noun === "run" || noun === "config" ? [manual("subflow.yaml", 5), manual("subflow-policies", 7)] : [];
  to.section("See also").paragraph([manual("subflow", 1), ...more].join(", "));
  return to.text();
}

function describe(to, { words, summary, details, options: own, byDefault }, isOneOfMany) {
  if (isOneOfMany) to.subsection(words.join(" "));
  to.paragraph(capitalised(summary) + (byDefault ? ` \`subflow ${words[0]}\` alone means this.` : ""));
  // Lines of "name    meaning" are a list, the others prose.
  const rows = (details ?? []).map((line) => /^(\S+(?: :=)?) {2,}(\S.*)$/.exec(line) ?? line);
  let prose = [];
  const flush = () => {
    if (prose.length > 0) to.paragraph(prose.join(" "));
    prose = [];
  };
  for (const row of rows) {
    if (typeof row === "string" && !row.includes(" := ")) prose.push(row);
    else {
      flush();
      if (typeof row === "string") to.paragraph(row);
      else to.definition(row[1], row[2]);
    }
  }
  flush();
  if (own?.length) options(to, own);
}

/** What a value may be, in words. */
function typeOf({ type, enum: words, const: only, anyOf, oneOf, minimum, maximum, items }) {
  if (words) return `one of ${words.join(", ")}`;
  if (only !== undefined) return JSON.stringify(only);
  if (anyOf) return [...new Set(anyOf.map(typeOf))].join(", or ");
  if (oneOf) return "these keys";
  if (type === "array") return items?.type === "object" ? "a list; each has" : `a list, each ${typeOf(items ?? {})}`;
  if (type === "object") return "these keys";
  const range = minimum !== undefined && maximum !== undefined ? `, ${minimum} to ${maximum}` : "";
  return { integer: "a whole number", number: "a number", string: "a text", boolean: "true or false" }[type] + range;
}

/** Variants that a key tells apart (a policy's name): all their keys, and what that key may be. */
function merged(variants) {
  const properties = {};
  for (const variant of variants) {
    for (const [key, value] of Object.entries(variant.properties)) {
      const words = [...(properties[key]?.enum ?? []), value.const];
      properties[key] = value.const === undefined ? { ...value, of: variant.properties.name?.const } : { enum: words };
    }
  }
  return { properties, required: variants[0].required };
}

/** What has keys of its own in a schema: itself, an item of the list, one of several that are possible. */
function objectsOf(schema) {
  if (!schema) return [];
  if (schema.properties) return [schema];
  if (schema.oneOf) return [merged(schema.oneOf)];
  return [schema.items, ...(schema.anyOf ?? []), ...(schema.allOf ?? [])].flatMap(objectsOf);
}

function keys(to, { properties, required = [] }, depth = 0) {
  for (const [name, schema] of Object.entries(properties)) {
    const { description, default: preset } = schema;
    const isPlain = preset !== undefined && JSON.stringify(preset) !== "{}" && JSON.stringify(preset) !== "[]";
    const parts = [
      description === undefined ? "" : capitalised(description),
      capitalised(typeOf(schema)),
      isPlain ? `Default: ${JSON.stringify(preset).replaceAll('"', "")}.` : "",
      required.includes(name) ? "Must be there." : "",
      schema.of === undefined ? "" : `Only of \`${schema.of}\`.`,
    ].filter(Boolean);
    to.definition(name, parts.join(" "), depth);
    for (const below of objectsOf(schema)) keys(to, below, depth + 1);
  }
}

function configuration() {
  const schema = JSON.parse(execFileSync(process.execPath, [join(root, "bin", "subflow"), "config", "schema"]));
  const to = page("subflow.yaml", "5", "what subflow run follows");
  to.section("Description");
  to.paragraph(
    "/etc/subflow/subflow.yaml, then /etc/subflow/conf.d/*.yaml in the order of their names; another file with `--config FILE`, and " +
      "the conf.d beside it. Later files win key by key; lists of endpoints and interfaces add up. Without any file the defaults " +
      "hold. Options of `subflow run` win over files.",
  );
  to.paragraph(
    "Each file must belong to root or to the user who runs Subflow, and nobody else may be able to write it. `subflow config " +
      "check` says what is wrong, with file, line and column; `subflow config show` prints all keys with their values. A running " +
      "daemon reads the files again at SIGHUP (`systemctl reload subflow`); a wrong one changes nothing.",
  );
  to.section("Keys");
  keys(to, schema);
  to.section("Examples");
  to.paragraph(
    "A laptop: the mobile line carries data only when nothing else does, links of containers are left alone.",
  );
  to.literal('interfaces:\n  - { kind: cellular, role: backup }\n  - { kind: container, role: "off" }');
  to.paragraph("A server that announces its second address.");
  to.literal("profile: server\ninterfaces:\n  - { name: eth1, role: signal }");
  to.section("See also").paragraph(
    [manual("subflow-run", 1), manual("subflow-config", 1), manual("subflow-policies", 7)].join(", "),
  );
  return to.text();
}

/** docs/policies.md without its title, what is for programmers, and its code. */
function ofPolicies() {
  const to = page("subflow-policies", "7", "which subflows a connection is to have");
  const document = readFileSync(join(root, "docs", "policies.md"), "utf8");
  const sections = document.split(/^(?=## )/m).slice(1);
  const headings = document.match(/^##+ .*$/gm) ?? [];
  const named = ({ name }) => headings.some((heading) => heading.includes(`\`${name}\``));
  const missing = policies.filter((policy) => !named(policy)).map(({ name }) => name);
  if (missing.length > 0) throw new Error(`docs/policies.md has no section about ${missing.join(", ")}`);
  to.section("Description");
  to.paragraph(
    "A policy says what one connection should have: which subflows, which of them as backup, which announcements. The key `policy` of " +
      `subflow.yaml(5) chooses one: ${policies.map(({ name }) => `\`${name}\``).join(", ")}.`,
  );
  for (const text of sections) if (!/^## Writing/.test(text)) markdown(to, text);
  to.section("See also").paragraph([manual("subflow.yaml", 5), manual("subflow-why", 1)].join(", "));
  return to.text();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder] = process.argv.slice(2);
  if (!folder) {
    console.error("usage: node tools/man.mjs FOLDER");
    process.exit(1);
  }
  mkdirSync(folder, { recursive: true });
  for (const { file, text } of writeManPages()) writeFileSync(join(folder, file), text);
}
