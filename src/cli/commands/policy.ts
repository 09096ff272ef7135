import { ask } from "../../control/index.ts";
import { formatValue, type Parameter, type Policy } from "../../engine/index.ts";
import { policies } from "../../policies/index.ts";
import type { Context } from "../command.ts";
import { EXIT, missingArgument, wrongArgument } from "../failure.ts";
import { type Json, renderJson } from "../json.ts";
import { tableLines } from "../layout.ts";
import { parseOptions } from "../options.ts";
import { nearest, tokenArgument } from "../words.ts";

/** `policy list`, `policy show`, `policy set` and `policy unset`. */
export async function run(context: Context): Promise<number> {
  const { words } = parseOptions(context);
  const { global, streams, command } = context;
  switch (command.words[1]) {
    case "set":
      await set(words, global.netns);
      return EXIT.success;
    case "unset":
      await ask("policy.unset", { token: tokenArgument(words[0]) }, { netns: global.netns });
      return EXIT.success;
    case "show": {
      const policy = policyArgument(words[0]);
      if (global.json) streams.out(renderJson(policyJson(policy), global.pretty));
      else for (const line of page(policy, streams.width)) streams.out(`${line}\n`);
      return EXIT.success;
    }
    default: {
      const rows = policies.map(({ name, about = "" }) => [name, "", about] as const);
      if (global.json) streams.out(renderJson(policies.map(policyJson), global.pretty));
      else for (const line of tableLines(rows, streams.width)) streams.out(`${line.replace(/^ {2}/, "")}\n`);
      return EXIT.success;
    }
  }
}

async function set(words: readonly string[], netns: string | undefined): Promise<void> {
  const token = tokenArgument(words[0]);
  // Which plug-ins there are only the daemon knows.
  const policy = words[1]?.startsWith("plugin:") ? words[1] : policyArgument(words[1]).name;
  await ask("policy.set", { token, policy, parameters: parametersOf(words.slice(2)) }, { netns });
}

/** ["hold_down=10s"] → { hold_down: "10s" }; what they mean is checked by who knows the policy. */
function parametersOf(words: readonly string[]): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const word of words) {
    const at = word.indexOf("=");
    const key = word.slice(0, at);
    if (at <= 0) throw wrongArgument(word, "a parameter is set as NAME=VALUE");
    if (Object.hasOwn(parameters, key)) throw wrongArgument(word, "it is given twice");
    parameters[key] = word.slice(at + 1);
  }
  return parameters;
}

function policyArgument(name: string | undefined): Policy {
  if (name === undefined) throw missingArgument("NAME");
  const policy = policies.find((each) => each.name === name);
  if (policy) return policy;
  const names = policies.map((each) => each.name);
  const meant = nearest(name, names);
  throw wrongArgument(name, `it is no policy; ${meant ? `did you mean "${meant}"?` : `there are ${names.join(", ")}`}`);
}

function page({ name, about = "", parameters = {} }: Policy, width: number): string[] {
  const rows = Object.entries(parameters).map(
    ([key, parameter]) => [key, formatValue(parameter, parameter.default), meaning(parameter)] as const,
  );
  const example =
    rows.length > 0
      ? ["", "  in a configuration:", `    policy: { name: ${name}, ${rows[0]![0]}: ${rows[0]![1]} }`]
      : [];
  return [`${name}: ${about}`, ...tableLines(rows, width), ...example];
}

function meaning(parameter: Parameter): string {
  if (parameter.type === "choice") return `${parameter.about} (${parameter.values.join(", ")})`;
  if (parameter.type === "switch") return `${parameter.about} (true, false)`;
  const bounds = `${formatValue(parameter, parameter.min)} to ${formatValue(parameter, parameter.max)}`;
  return `${parameter.about} (${bounds}${parameter.type === "signal" ? ", off" : ""})`;
}

function policyJson({ name, about = "", parameters = {} }: Policy): Json {
  const entries = Object.entries(parameters).map(([key, parameter]) => ({ name: key, ...parameter }));
  return { name, about, parameters: entries as unknown as Json };
}
