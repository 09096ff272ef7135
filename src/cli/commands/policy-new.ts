import { writeFileSync } from "node:fs";
import type { Context } from "../command.ts";
import { EXIT, failure, missingArgument, wrongArgument } from "../failure.ts";
import { parseOptions } from "../options.ts";
import { policyTemplate, testTemplate } from "../policy/template.ts";

/** `policy new`: a policy to begin with, and its tests. Overwrites nothing. */
export function run(context: Context): number {
  const [name] = parseOptions(context).words;
  if (name === undefined) throw missingArgument("NAME");
  if (!/^[a-z0-9][a-z0-9_-]{0,31}$/.test(name))
    throw wrongArgument(name, "a name has small letters, digits, - and _, at most 32");
  const files = [
    [`${name}.mjs`, policyTemplate(name)],
    [`${name}.test.mjs`, testTemplate(name)],
  ] as const;
  for (const [file, text] of files) write(file, text);
  context.streams.out(`${files.map(([file]) => file).join(" and ")}: try \`subflow policy test ${name}.mjs\`\n`);
  return EXIT.success;
}

function write(file: string, text: string): void {
  try {
    // Never through somebody's link, never over what there is.
    writeFileSync(file, text, { flag: "wx", mode: 0o644 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw failure(`Error: there is a file ${file} already.`);
    throw error;
  }
}
