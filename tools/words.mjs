// What the tools of this folder that take words have in common.
import { parseArgs } from "node:util";

/**
 * @param {string} name what its messages begin with
 * @param {string} usage one line
 */
export function tool(name, usage) {
  /** Says why it cannot go on, and ends this program. @returns {never} */
  function fail(message) {
    console.error(`${name}: ${message}`);
    process.exit(1);
  }
  /** What it was called with; a wrong word ends it. @param {import("node:util").ParseArgsConfig} config */
  function read(config) {
    try {
      return parseArgs(config);
    } catch (error) {
      return fail(`${error.message}\n${usage}`);
    }
  }
  return { fail, read };
}
