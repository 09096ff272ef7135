import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { entryFile } from "../../plugin/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure, missingArgument } from "../failure.ts";
import { parseOptions } from "../options.ts";

const TESTER = { bundled: "policy-test.mjs", built: join("..", "policy", "tester.js") };

/** `policy test`: the laws that each policy must keep, and the tests beside it. In a process of its own: it is somebody's code. */
export function run(context: Context): number {
  const [file] = parseOptions(context).words;
  if (file === undefined) throw missingArgument("FILE");
  if (!existsSync(file)) throw failure(`Error: there is no file ${file}.`);
  const { status } = spawnSync(process.execPath, ["--no-warnings", entryFile(import.meta.url, TESTER), file], {
    stdio: "inherit",
  });
  return status ?? EXIT.failure;
}
