import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "..", "..", "..", "test", "fuzz", "corpus");
const fileOf = (name: string): string => join(folder, `${name}.txt`);

/** The kept inputs of a target: a line each, in hexadecimal. */
export function readCorpus(name: string): Uint8Array[] {
  if (!existsSync(fileOf(name))) return [];
  const lines = readFileSync(fileOf(name), "latin1").split("\n");
  return lines.filter((line) => line !== "").map((line) => Buffer.from(line, "hex"));
}

/** Sorted, so that a new input is a new line and nothing else. */
export function writeCorpus(name: string, inputs: readonly Uint8Array[]): void {
  const lines = new Set(inputs.map((input) => Buffer.from(input).toString("hex")));
  writeFileSync(fileOf(name), `${[...lines].sort((a, b) => a.length - b.length || (a < b ? -1 : 1)).join("\n")}\n`);
}
