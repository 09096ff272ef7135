import type { GlobalOptions } from "./global-options.ts";
import type { Streams } from "./streams.ts";

/** An option of a command, for parseArgs, help and completion alike. */
export interface CommandOption {
  readonly name: string;
  /** The placeholder of its value; undefined for a flag. */
  readonly value?: string;
  /** What the value is, for completion. */
  readonly kind?: WordKind | readonly string[];
  readonly says: string;
}

/** What a word of a command line names; a list of words is an enumeration. */
export type WordKind =
  | "token"
  /** An interface, or an address of ours. */
  | "local"
  /** A local end of a subflow that exists, or its interface. */
  | "subflow"
  | "remote"
  /** An id or an address that was announced. */
  | "announced"
  | "interface"
  | "endpoint id"
  | "endpoint address"
  | "address"
  | "host of the lab"
  | "command"
  | "policy"
  | "file"
  /** Nothing that could be listed: a number, a host name. */
  | "free";

/** One row of the command table: help, completion and parsing follow from it. */
export interface Command {
  /** Noun, or noun and verb. */
  readonly words: readonly [string] | readonly [string, string];
  /** One line, no full stop. */
  readonly summary: string;
  /** What stands after the words. */
  readonly usage: string;
  /** More than the summary, in lines of at most 120 characters. */
  readonly details?: readonly string[];
  readonly options?: readonly CommandOption[];
  /** Words that may follow, for completion (the words of the ip-mptcp(8) grammar are no options). */
  readonly vocabulary?: readonly string[];
  /** The words behind the command's own, in order; one more is refused. undefined: the grammar of ip-mptcp(8). */
  readonly takes?: readonly (WordKind | readonly string[])[] | undefined;
  readonly examples: readonly string[];
  /** For scripts of ours, not for people: help and completion leave it out. */
  readonly hidden?: true;
  /** It only looks: the daemon, and whoever does work, goes first. */
  readonly stepsBack?: true;
  /** From the first word that is no option on, everything belongs to another program: `-j` is its, too. */
  readonly passesOn?: true;
  /** The verb that a noun alone means. */
  readonly byDefault?: true;
  /** Imports the command's file: only the one that runs is paid for. */
  load(): Promise<CommandModule>;
}

/** What a file of commands/ exports. */
export interface CommandModule {
  /** Carries the command out and resolves to its exit status; throws a SubflowError when it cannot. */
  run(context: Context): number | Promise<number>;
}

/** What a command is given. */
export interface Context {
  /** All commands there are: what `help` and completion are about. */
  readonly table: readonly Command[];
  readonly command: Command;
  /** What follows the command's own words, global options taken out. */
  readonly words: readonly string[];
  readonly global: GlobalOptions;
  readonly streams: Streams;
}
