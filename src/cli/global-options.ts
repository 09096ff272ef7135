import { incompleteCommand, usageError } from "./failure.ts";
import type { ColourChoice } from "./streams.ts";
import { abbreviates } from "./words.ts";

/** Options that every command takes. */
export interface GlobalOptions {
  /** Name in /run/netns, or a path; undefined: the process's own. */
  netns: string | undefined;
  json: boolean;
  pretty: boolean;
  help: boolean;
  version: boolean;
  colour: ColourChoice;
}

interface GlobalOption {
  readonly short: string;
  readonly long: string;
  readonly value?: string;
  readonly says: string;
  set(options: GlobalOptions, value: string): void;
}

/** The global options, as help and completion show them. */
export const GLOBAL_OPTIONS: readonly GlobalOption[] = [
  {
    short: "n",
    long: "netns",
    value: "NETNS",
    says: "work in this network namespace: a name from `ip netns`, or a path",
    set: (options, value) => {
      options.netns = value;
    },
  },
  {
    short: "j",
    long: "json",
    says: "print JSON",
    set: (options) => {
      options.json = true;
    },
  },
  {
    short: "p",
    long: "pretty",
    says: "indent the JSON",
    set: (options) => {
      options.pretty = true;
    },
  },
  {
    short: "c",
    long: "color",
    says: "colour also when the output is no terminal",
    set: (options) => {
      options.colour = "always";
    },
  },
  {
    short: "",
    long: "no-color",
    says: "never colour; so does the variable NO_COLOR",
    set: (options) => {
      options.colour = "never";
    },
  },
  {
    short: "h",
    long: "help",
    says: "explain the command",
    set: (options) => {
      options.help = true;
    },
  },
  {
    short: "V",
    long: "version",
    says: "print the version",
    set: (options) => {
      options.version = true;
    },
  },
];

/**
 * Takes the global options out of a command line. Before the first word they may be abbreviated and written with one
 * dash, as ip(8) has it (`-js`, `-netns X`); after it only their exact forms count, since commands have options too.
 * Nothing behind `--` is touched, and nothing once the words so far say that the rest is another program's.
 */
export function takeGlobalOptions(
  argv: readonly string[],
  isPassedOn: (words: readonly string[]) => boolean = () => false,
): { global: GlobalOptions; words: string[] } {
  const global: GlobalOptions = {
    netns: undefined,
    json: false,
    pretty: false,
    help: false,
    version: false,
    colour: "auto",
  };
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]!;
    if (word === "--") {
      words.push(...argv.slice(words.length === 0 ? index + 1 : index));
      break;
    }
    const option = word.startsWith("-") ? findOption(word, words.length === 0) : undefined;
    if (!option) {
      if (words.length === 0 && word.startsWith("-")) {
        throw usageError(`Option "${word}" is unknown, try "subflow --help".`);
      }
      words.push(word);
      if (!isPassedOn(words)) continue;
      words.push(...argv.slice(index + 1));
      break;
    }
    let value = word.includes("=") ? word.slice(word.indexOf("=") + 1) : undefined;
    if (option.value !== undefined && value === undefined) {
      value = argv[++index];
      if (value === undefined) throw incompleteCommand();
    }
    option.set(global, value ?? "");
  }
  return { global, words };
}

function findOption(word: string, abbreviated: boolean): GlobalOption | undefined {
  const name = word.split("=", 1)[0]!.replace(/^--?/, "");
  const exact = GLOBAL_OPTIONS.find((option) =>
    word.startsWith("--") ? option.long === name : option.short === name && name !== "",
  );
  if (exact || !abbreviated) return exact;
  return GLOBAL_OPTIONS.find((option) => abbreviates(name, option.long));
}
