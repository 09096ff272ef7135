import type { Command } from "./command.ts";
import { GLOBAL_OPTIONS } from "./options.ts";
import { NOUNS } from "./resolve.ts";
import { COMMANDS } from "./table.ts";

/** The shells that {@link completionScript} speaks. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A script that completes the words of the command table; it knows no more than the table does. */
export function completionScript(shell: Shell): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell]();
}

/** What may follow the words so far: `"": nouns`, `"endpoint ": verbs and words`, ... */
function candidates(): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>([["", NOUNS]]);
  for (const command of COMMANDS) {
    const [noun, verb] = command.words;
    if (verb !== undefined) found.set(noun, [...(found.get(noun) ?? []), verb]);
    found.set(command.words.join(" "), following(command));
  }
  found.set("help", NOUNS);
  return found;
}

function following(command: Command): string[] {
  const options = (command.options ?? []).map(({ name }) => `--${name}`);
  return [...(command.vocabulary ?? []), ...options];
}

function globalWords(): string {
  return GLOBAL_OPTIONS.flatMap(({ short, long }) => (short ? [`-${short}`, `--${long}`] : [`--${long}`])).join(" ");
}

function caseLines(): string {
  const lines = [...candidates()].map(([words, list]) => `    "${words}") found="${list.join(" ")}" ;;`);
  return lines.join("\n");
}

/** The part that bash and zsh share: sets `found` from the words before the cursor. */
function shellBody(words: string, first: number, last: string): string {
  return `  local found="" noun="" verb="" previous="" word index
  for ((index = ${first}; index < ${last}; index++)); do
    word="\${${words}[index]}"
    case "$previous" in -n|--netns) previous=""; continue ;; esac
    previous="$word"
    case "$word" in
      -*) ;;
      *) if [[ -z "$noun" ]]; then noun="$word"; elif [[ -z "$verb" ]]; then verb="$word"; fi ;;
    esac
  done
  case "$noun" in
${nounsWithVerbs()
  .map((noun) => `    ${noun}) [[ -n "$verb" ]] && noun="$noun $verb" ;;`)
  .join("\n")}
  esac
  case "$noun" in
${caseLines()}
  esac
  case "$previous" in
    -n|--netns) found="$(command ls /run/netns 2>/dev/null)" ;;
    dev|--dev) found="$(command ls /sys/class/net 2>/dev/null)" ;;
  esac`;
}

function nounsWithVerbs(): string[] {
  return NOUNS.filter((noun) => COMMANDS.some(({ words }) => words[0] === noun && words.length === 2));
}

function bashScript(): string {
  return `# Completion of subflow for bash: source it, or put it into /etc/bash_completion.d/subflow
_subflow() {
  local current="\${COMP_WORDS[COMP_CWORD]}"
${shellBody("COMP_WORDS", 1, "COMP_CWORD")}
  case "$current" in -*) found="$found ${globalWords()}" ;; esac
  COMPREPLY=($(compgen -W "$found" -- "$current"))
}
complete -F _subflow subflow
`;
}

function zshScript(): string {
  return `#compdef subflow
# Completion of subflow for zsh: put it as _subflow into a directory of $fpath, or source it after compinit
_subflow() {
  local current="\${words[CURRENT]}"
${shellBody("words", 2, "CURRENT")}
  case "$current" in -*) found="$found ${globalWords()}" ;; esac
  compadd -- \${=found}
}
if [ "\${funcstack[1]}" = "_subflow" ]; then _subflow "$@"; else compdef _subflow subflow; fi
`;
}

function fishScript(): string {
  const lines = ["# Completion of subflow for fish: put it into ~/.config/fish/completions/subflow.fish"];
  lines.push("complete -c subflow -f");
  for (const { short, long, value, says } of GLOBAL_OPTIONS) {
    const flags = `${short ? `-s ${short} ` : ""}-l ${long}${value ? " -x" : ""}`;
    const list = long === "netns" ? " -a '(command ls /run/netns 2>/dev/null)'" : "";
    lines.push(`complete -c subflow ${flags}${list} -d ${quoted(says)}`);
  }
  const unseen = `not __fish_seen_subcommand_from ${NOUNS.join(" ")}`;
  for (const noun of NOUNS) {
    const only = COMMANDS.filter(({ words }) => words[0] === noun);
    const says = only.length === 1 ? only[0]!.summary : `${noun}: ${only.map(({ words }) => words[1]).join(", ")}`;
    lines.push(`complete -c subflow -n ${quoted(unseen)} -a ${noun} -d ${quoted(says)}`);
  }
  for (const command of COMMANDS) lines.push(...fishCommand(command));
  return `${lines.join("\n")}\n`;
}

function fishCommand(command: Command): string[] {
  const [noun, verb] = command.words;
  const lines: string[] = [];
  const seenNoun = `__fish_seen_subcommand_from ${noun}`;
  const seen = verb === undefined ? seenNoun : `${seenNoun}; and __fish_seen_subcommand_from ${verb}`;
  if (verb !== undefined) {
    const verbs = COMMANDS.filter(({ words }) => words[0] === noun).map(({ words }) => words[1]);
    const condition = `${seenNoun}; and not __fish_seen_subcommand_from ${verbs.join(" ")}`;
    lines.push(`complete -c subflow -n ${quoted(condition)} -a ${verb} -d ${quoted(command.summary)}`);
  }
  if (command.vocabulary) {
    lines.push(`complete -c subflow -n ${quoted(seen)} -a ${quoted(command.vocabulary.join(" "))}`);
  }
  for (const { name, value, says } of command.options ?? []) {
    lines.push(`complete -c subflow -n ${quoted(seen)} -l ${name}${value ? " -x" : ""} -d ${quoted(says)}`);
  }
  return lines;
}

/** A word in single quotes, as fish reads them. */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
