import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Context } from "../command.ts";
import { EXIT, failure, missingArgument } from "../failure.ts";
import { parseOptions } from "../options.ts";

/** `policy test`: the laws that each policy must keep, and the tests beside it. In a process of its own: it is somebody's code. */
export function run(context: Context): number {
  const [file] = parseOptions(context).words;
  if (file === undefined) throw missingArgument("FILE");
  if (!existsSync(file)) throw failure(`Error: there is no file ${file}.`);
  const { status } = spawnSync(process.execPath, ["--no-warnings", testerFile(), file], { stdio: "inherit" });
  return status ?? EXIT.failure;
}

/** Beside the bundle, or where the compiler has put it. */
function testerFile(): string {
  const here = import.meta.url.startsWith("file:") ? fileURLToPath(import.meta.url) : import.meta.url;
  const places = [join(dirname(here), "policy-test.mjs"), join(dirname(here), "..", "policy", "tester.js")];
  const found = places.find((place) => existsSync(place));
  if (found === undefined) throw failure(`Error: ${places[0]} is missing; build Subflow again.`);
  return found;
}
