import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from "yaml";
import { parseAddress } from "../types/index.ts";
import { contradiction } from "./choice.ts";
import { ConfigError, type ConfigFault } from "./error.ts";
import { knownKeys, nearestIssue, type PathItem } from "./faults.ts";
import { nearest } from "./nearest.ts";
import { CONFIG_SCHEMA, type Config } from "./schema.ts";
import { checkTrusted, currentReader, DistrustError, type Reader, readTrusted } from "./trust.ts";
import { userId } from "./users.ts";

export const DEFAULT_CONFIG_FILE = "/etc/subflow/subflow.yaml";
/** A configuration is written by a person: one beyond this is a mistake (a disk image, a log), not a configuration. */
const CONFIG_BYTES_MAX = 1 << 20;

/** A configuration with where it came from. */
export interface LoadedConfig {
  readonly config: Config;
  /** In the order they were read; later ones win. Empty: only the defaults. */
  readonly files: readonly string[];
}

interface Source {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly value: unknown;
}

function readSource(file: string, reader: Reader): Source {
  const text = orFault(file, () => readTrusted(file, CONFIG_BYTES_MAX, reader));
  if (text.length > CONFIG_BYTES_MAX) {
    throw new ConfigError([{ file, line: 1, column: 1, problem: `larger than ${CONFIG_BYTES_MAX} bytes` }]);
  }
  return parseSource(file, text);
}

/** Calls, and tells what the file system or {@link DistrustError} says as a fault of the file. */
function orFault<T>(file: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const problem = error instanceof DistrustError ? error.message : `cannot be read: ${code ?? error}`;
    throw new ConfigError([{ file, line: 1, column: 1, problem }]);
  }
}

function parseSource(file: string, text: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    logLevel: "error",
  });
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return { file, line, column: col, problem: error.message };
      }),
    );
  }
  try {
    return { file, document, lines, value: document.toJS() ?? {} };
  } catch (error) {
    // An alias without its anchor, or one that expands without end: the parser lets both pass.
    throw new ConfigError([{ file, line: 1, column: 1, problem: (error as Error).message }]);
  }
}

/** Where the value at `path` stands, or its key; the nearest parent when it is missing. */
function locate(
  { file, document, lines }: Source,
  path: readonly PathItem[],
  key: boolean,
): Omit<ConfigFault, "problem"> {
  for (let length = path.length; length >= 0; length--) {
    const parent = length > 0 ? document.getIn(path.slice(0, length - 1), true) : undefined;
    let offset: number | undefined;
    if (key && length === path.length && isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === path.at(-1));
      offset = pair && isScalar(pair.key) ? pair.key.range?.[0] : undefined;
    }
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    offset ??= isNode(node) ? node.range?.[0] : undefined;
    if (offset !== undefined) {
      const { line, col } = lines.linePos(offset);
      return { file, line, column: col };
    }
  }
  return { file, line: 1, column: 1 };
}

function faultOf(source: Source, found: v.BaseIssue<unknown>): ConfigFault {
  const issue = nearestIssue(found);
  const path = (issue.path ?? []).map((item) => item.key as PathItem);
  const last = path.at(-1);
  const unknownKey = issue.type === "strict_object" && issue.expected === "never" && typeof last === "string";
  if (unknownKey) {
    const known = knownKeys(source.value, path.slice(0, -1));
    const meant = nearest(last, known);
    const hint = meant ? `did you mean "${meant}"?` : `known here: ${known.join(", ")}`;
    return { ...locate(source, path, true), problem: `unknown key "${last}"`, hint };
  }
  if (issue.type === "strict_object" && typeof last === "string" && issue.received === "undefined") {
    return { ...locate(source, path, false), problem: `"${last}" is missing` };
  }
  const where = path.map((item) => (typeof item === "number" ? `[${item}]` : `.${item}`)).join("");
  const problem = `${where.replace(/^\./, "")}: ${wordProblem(issue)}`;
  return { ...locate(source, path, false), problem, hint: hintFor(issue) };
}

function wordProblem(issue: v.BaseIssue<unknown>): string {
  if (issue.type === "picklist") return `${issue.received} is none of ${issue.expected}`;
  if (issue.kind === "schema" && issue.message.startsWith("Invalid")) {
    return `expected ${String(issue.expected)}, found ${issue.received}`;
  }
  return issue.message;
}

function hintFor(issue: v.BaseIssue<unknown>): string | undefined {
  if (issue.type !== "picklist" || typeof issue.input !== "string") return undefined;
  const words = [...(issue.expected ?? "").matchAll(/"([^"]+)"/g)].map((match) => match[1]!);
  const meant = nearest(issue.input, words);
  return meant && `did you mean "${meant}"?`;
}

/** Faults that a single endpoint cannot show: two endpoints that are one. */
function duplicateFaults(source: Source, config: Config): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const seen = new Map<string, number>();
  for (const [index, endpoint] of config.endpoints.entries()) {
    const address = `address ${parseAddress(endpoint.address)}${endpoint.port ? ` port ${endpoint.port}` : ""}`;
    for (const key of endpoint.id === undefined ? [address] : [address, `id ${endpoint.id}`]) {
      const first = seen.get(key);
      if (first !== undefined) {
        const where = locate(source, ["endpoints", index], false);
        faults.push({ ...where, problem: `${key} stands already in endpoints[${first}]` });
      } else seen.set(key, index);
    }
  }
  return faults;
}

/** Plug-ins that are used and not named, or whose files others may write: they would decide for root's connections. */
function pluginFaults(sources: readonly Source[], { policy, rules, plugins }: Config, reader: Reader): ConfigFault[] {
  const place = (path: readonly PathItem[]): Omit<ConfigFault, "problem"> => {
    const source = sources.findLast(({ document }) => document.hasIn(path));
    return source ? locate(source, path, false) : { file: "the command line", line: 1, column: 1 };
  };
  const used = [policy, ...rules.map((rule) => rule.policy)].flatMap((written, index) => {
    const name = typeof written === "string" ? written : written?.name;
    const path = index === 0 ? ["policy"] : ["rules", index - 1, "policy"];
    return name?.startsWith("plugin:") ? [{ name: name.slice("plugin:".length), path }] : [];
  });
  const missing = used.filter(({ name }) => !Object.hasOwn(plugins, name));
  const hint = `add it there: plugins: { ${missing[0]?.name}: /etc/subflow/policies/${missing[0]?.name}.mjs }`;
  return [
    ...missing.map(({ name, path }) => ({ ...place(path), problem: `no plug-in ${name} in plugins`, hint })),
    ...Object.entries(plugins).flatMap(([name, file]) => {
      try {
        checkTrusted(file, reader);
        return [];
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        const problem = error instanceof DistrustError ? message : `cannot be read: ${code ?? message}`;
        return [{ ...place(["plugins", name]), problem: `${file} ${problem}` }];
      }
    }),
  ];
}

/** Users that this host does not know: a rule for them would be for nobody. */
function userFaults(source: Source, { rules }: Config): ConfigFault[] {
  return rules.flatMap(({ match: { user } }, index) => {
    const users = user === undefined ? [] : Array.isArray(user) ? user : [user];
    return users.flatMap((name, at) => {
      if (userId(name) !== undefined) return [];
      const path = ["rules", index, "match", "user", ...(Array.isArray(user) ? [at] : [])];
      const problem = `this host knows no user "${name}"`;
      return [{ ...locate(source, path, false), problem, hint: "a number (uid) needs no name" }];
    });
  });
}

function validate(source: Source): void {
  const parsed = v.safeParse(CONFIG_SCHEMA, source.value);
  if (!parsed.success) throw new ConfigError(parsed.issues.map((issue) => faultOf(source, issue)));
  const faults = [...duplicateFaults(source, parsed.output), ...userFaults(source, parsed.output)];
  if (faults.length > 0) throw new ConfigError(faults);
}

/** What all files together ask for, with what wins over them: where the last of them says which policy. */
function checkContradiction(sources: readonly Source[], config: Config): void {
  const found = contradiction(config);
  if (!found) return;
  const { key, problem } = found;
  const source = sources.findLast(({ value }) => isPlain(value) && key in value);
  const where = source ? locate(source, [key], false) : { file: "the command line", line: 1, column: 1 };
  throw new ConfigError([{ ...where, problem, hint: "leave one of the two out" }]);
}

/** Later files win, key by key; endpoints add up. */
function merge(sources: readonly Source[]): Config {
  const raw: Record<string, unknown> = {};
  for (const source of sources) {
    for (const [key, value] of Object.entries(source.value as Record<string, unknown>)) {
      const before = raw[key];
      if (Array.isArray(before) && Array.isArray(value)) raw[key] = [...before, ...value];
      // Parameters of one policy are none of another.
      else if (key !== "policy" && isPlain(before) && isPlain(value)) raw[key] = { ...before, ...value };
      else raw[key] = value;
    }
  }
  return v.parse(CONFIG_SCHEMA, raw);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function dropIns(file: string, reader: Reader): string[] {
  const directory = join(dirname(file), "conf.d");
  const names = namesIn(directory);
  if (names.length > 0) orFault(directory, () => checkTrusted(directory, reader));
  return names
    .filter((name) => name.endsWith(".yaml"))
    .sort()
    .map((name) => join(directory, name));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    const hint = code === "ENOTDIR" ? "it is a directory of further *.yaml files, or is not there" : undefined;
    throw new ConfigError([{ file: directory, line: 1, column: 1, problem: `cannot be read: ${code ?? error}`, hint }]);
  }
}

/**
 * Reads the configuration: `file` and the `conf.d/*.yaml` beside it, with `overrides` on top. Without `file` the default one, which may be absent.
 * All of them, and the folder, must be written by nobody but root and us (`distrust`).
 * @throws ConfigError with every fault
 */
export function loadConfig(file?: string, overrides: Partial<Config> = {}): LoadedConfig {
  const main = file ?? DEFAULT_CONFIG_FILE;
  const reader = currentReader();
  const files = [...(file !== undefined || existsSync(main) ? [main] : []), ...dropIns(main, reader)];
  const sources = files.map((each) => readSource(each, reader));
  for (const source of sources) validate(source);
  const last = sources.at(-1);
  const config = { ...merge(sources), ...overrides };
  if (last && sources.length > 1) {
    const faults = duplicateFaults(last, config).map((fault) => ({ ...fault, hint: "counted over all files" }));
    if (faults.length > 0) throw new ConfigError(faults);
  }
  const plugins = pluginFaults(sources, config, reader);
  if (plugins.length > 0) throw new ConfigError(plugins);
  checkContradiction(sources, config);
  return { config, files };
}
