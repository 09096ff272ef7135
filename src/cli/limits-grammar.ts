import type { Limits } from "../types/index.ts";
import { incompleteCommand, wrongArgument } from "./failure.ts";
import { abbreviates, unsignedArgument } from "./words.ts";

/** Reads the words behind `limits set` (and `limits show`, which knows the same words and ignores them). */
export function parseLimitsWords(words: readonly string[]): Partial<Limits> {
  const read: { -readonly [K in keyof Limits]?: number } = {};
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    const key = ["subflows", "add_addr_accepted"].find((candidate) => abbreviates(word, candidate));
    if (key === undefined) throw wrongArgument(word, "unknown limit");
    const value = words[++index];
    if (value === undefined) throw incompleteCommand();
    const number = unsignedArgument(value, 0xffffffff, `invalid ${key}`);
    read[key === "subflows" ? "subflows" : "addAddrAccepted"] = number;
  }
  return read;
}
