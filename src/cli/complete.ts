import type { Command, WordKind } from "./command.ts";
import { GLOBAL_OPTIONS } from "./global-options.ts";
import { commandsOf, resolve } from "./resolve.ts";

/** What is there to be named, looked up when it is asked for; each gives nothing where it cannot look. */
export interface Look {
  /** First words of commands. */
  commands(): readonly string[];
  tokens(): readonly string[];
  interfaces(): readonly string[];
  /** Addresses of our interfaces. */
  addresses(): readonly string[];
  endpoints(): readonly { readonly id: number; readonly address: string }[];
  /** The ends of a connection's subflows, and what it announced. */
  connection(token: string): {
    readonly locals: readonly string[];
    readonly remotes: readonly string[];
    readonly announced: readonly string[];
  };
  policies(): readonly string[];
  netns(): readonly string[];
  /** The hosts of a topology. */
  hosts(file: string): readonly string[];
}

/** What may stand where the cursor is, and whether files may stand there too. */
export interface Completion {
  readonly words: readonly string[];
  readonly files: boolean;
}

const NOTHING: Completion = { words: [], files: false };
const GLOBAL = GLOBAL_OPTIONS.flatMap(({ short, long }) => (short ? [`-${short}`, `--${long}`] : [`--${long}`]));

/** Completes the last of the words of a command line (without `subflow`); "" where a new word begins. */
export function complete(table: readonly Command[], line: readonly string[], look: Look): Completion {
  const current = line.at(-1) ?? "";
  const found = candidates(table, line.slice(0, -1), current, look);
  const fitting = [...new Set(found.words)].filter((word) => word.startsWith(current));
  return { words: fitting.toSorted(), files: found.files };
}

function candidates(table: readonly Command[], before: readonly string[], current: string, look: Look): Completion {
  const previous = before.at(-1) ?? "";
  if (/^--?n(etns)?$/.test(previous)) return { words: look.netns(), files: true };
  const words = withoutGlobal(before);
  const [noun] = words;
  if (noun === undefined) return list(current.startsWith("-") ? GLOBAL : look.commands());
  const command = commandOf(table, words);
  if (!command) {
    const verbs = commandsOf(table, nounOf(table, noun)).flatMap(({ words: [, verb] }) => verb ?? []);
    return list(current.startsWith("-") ? GLOBAL : verbs);
  }
  return ofCommand(command, words.slice(command.words.length), current, look);
}

function list(words: readonly string[]): Completion {
  return { words, files: false };
}

function withoutGlobal(words: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    const option = GLOBAL_OPTIONS.find(
      ({ short, long }) => word === `--${long}` || (short !== "" && word === `-${short}`),
    );
    if (!option) kept.push(word);
    else if (option.value !== undefined) index++;
  }
  return kept;
}

/** The noun that a beginning of one stands for. */
function nounOf(table: readonly Command[], word: string): string {
  try {
    const resolved = resolve(table, [word]);
    return resolved.kind === "command" ? resolved.command.words[0] : resolved.noun;
  } catch {
    return word;
  }
}

/** The command of the words; undefined while its verb is to come, or where there is none. */
function commandOf(table: readonly Command[], words: readonly string[]): Command | undefined {
  try {
    const resolved = resolve(table, words);
    if (resolved.kind !== "command") return undefined;
    return resolved.command.words.length <= words.length ? resolved.command : undefined;
  } catch {
    return undefined;
  }
}

function ofCommand(command: Command, rest: readonly string[], current: string, look: Look): Completion {
  const options = command.options ?? [];
  const asked = options.find(({ name, value }) => value !== undefined && rest.at(-1) === `--${name}`);
  const given = positionals(rest, command);
  if (asked) return ofKind(asked.kind ?? "free", given, rest, look);
  if (rest.includes("--") || (command.passesOn && !current.startsWith("-"))) return { words: [], files: true };
  if (current.startsWith("-")) return list([...options.map(({ name }) => `--${name}`), ...GLOBAL]);
  if (command.takes === undefined) return list(ofGrammar(command, rest, look));
  const kind = command.takes[given.length];
  return kind === undefined ? NOTHING : ofKind(kind, given, rest, look);
}

/** The words that are neither options nor their values. */
function positionals(rest: readonly string[], { options = [] }: Command): string[] {
  const takesValue = (word: string | undefined): boolean =>
    options.some(({ name, value }) => value !== undefined && word === `--${name}`);
  return rest.filter((word, index) => !word.startsWith("-") && !takesValue(rest[index - 1]));
}

function ofKind(
  kind: WordKind | readonly string[],
  given: readonly string[],
  rest: readonly string[],
  look: Look,
): Completion {
  if (typeof kind !== "string") return list(kind);
  const connection = (): ReturnType<Look["connection"]> => look.connection(given[0] ?? "");
  switch (kind) {
    case "token":
      return list(look.tokens());
    case "local":
      return list([...look.interfaces(), ...look.addresses()]);
    case "subflow":
      return list([...look.interfaces(), ...connection().locals]);
    case "remote":
      return list(connection().remotes);
    case "announced":
      return list(connection().announced);
    case "interface":
      return list(look.interfaces());
    case "endpoint id":
      return list(look.endpoints().map(({ id }) => String(id)));
    case "endpoint address":
      return list(look.endpoints().map(({ address }) => address));
    case "address":
      return list(look.addresses());
    case "host of the lab":
      return list(rest.flatMap((word) => (/\.ya?ml$/.test(word) ? look.hosts(word) : [])));
    case "command":
      return list(look.commands());
    case "policy":
      return list(look.policies());
    case "file":
      return { words: [], files: true };
    case "free":
      return NOTHING;
  }
}

/** The words of ip-mptcp(8): `dev`, `id` and `port` take a value, a flag stands once. */
function ofGrammar({ words: [noun, verb], vocabulary = [] }: Command, rest: readonly string[], look: Look): string[] {
  const previous = rest.at(-1);
  if (previous === "dev") return [...look.interfaces()];
  if (previous === "id") return verb === "add" ? [] : look.endpoints().map(({ id }) => String(id));
  if (previous === "port" || vocabulary.length === 0) return [];
  if (noun === "limits" && vocabulary.includes(previous ?? "")) return [];
  const left = vocabulary.filter((word) => !rest.includes(word));
  if (noun !== "endpoint" || rest.some((word) => /[.:]/.test(word))) return left;
  const known = look.endpoints().map(({ address }) => address);
  if (verb === "add") return [...left, ...look.addresses().filter((address) => !known.includes(address))];
  return verb === "change" && !rest.includes("id") ? [...left, ...known] : left;
}
