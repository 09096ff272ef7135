import * as v from "valibot";
import { type GivenValues, type Parameter, type Parameters, type Policy, parseValue } from "../engine/index.ts";
import { policies } from "../policies/index.ts";

/** The policies that a configuration can name. */
export const POLICIES: readonly string[] = policies.map(({ name }) => name);

/** A value as somebody writes it: "300ms", 3, true. */
type Written = string | number | boolean;

function parameterSchema(parameter: Parameter) {
  return v.optional(
    v.pipe(
      v.union([v.string(), v.number(), v.boolean()], "a text, a number, true or false"),
      v.rawCheck(({ dataset, addIssue }) => {
        if (!dataset.typed) return;
        const parsed = parseValue(parameter, dataset.value);
        if ("fault" in parsed) addIssue({ message: parsed.fault });
      }),
      v.description(parameter.about),
    ),
  );
}

function withParameters({ name, parameters = {} }: Policy) {
  const entries = Object.entries(parameters).map(([key, parameter]) => [key, parameterSchema(parameter)] as const);
  return v.strictObject({ name: v.literal(name), ...Object.fromEntries(entries) });
}

/** A policy in a process of its own (`plugins`). */
const PLUGIN_NAME = /^plugin:[a-z0-9][a-z0-9_-]{0,31}$/;
/** What its parameters mean only its process knows. */
const PLUGIN = v.objectWithRest(
  { name: v.pipe(v.string(), v.regex(PLUGIN_NAME)) },
  v.union([v.string(), v.number(), v.boolean()], "a text, a number, true or false"),
);

/** The word `auto` only where nothing else is said. */
function policySchema<const W extends readonly string[]>(words: W) {
  return v.union([
    v.picklist([...words, ...POLICIES]),
    v.pipe(v.string(), v.regex(PLUGIN_NAME)),
    v.variant(
      "name",
      [...policies.map(withParameters), PLUGIN],
      ({ received }) =>
        `${received === "undefined" ? "the name is missing" : `${received} is no policy`}: there are ${POLICIES.join(", ")}`,
    ),
  ]);
}

/** A name alone. */
export const POLICY_NAME = v.pipe(
  v.string(),
  v.check(
    (name) => POLICIES.includes(name) || PLUGIN_NAME.test(name),
    ({ input }) => `${JSON.stringify(input)} is no policy: there are ${POLICIES.join(", ")}, and plugin:NAME`,
  ),
);

/** `policy: fullmesh`, or `policy: { name: active-backup, hold_down: 10s }`. */
export const POLICY = policySchema([]);
export const POLICY_OR_AUTO = policySchema(["auto"]);

/** A policy as it stands in a configuration. */
export type WrittenPolicy = string | ({ readonly name: string } & Readonly<Record<string, Written | undefined>>);

/** A policy and what of its parameters is given. */
export interface PolicyChoice {
  readonly policy: string;
  readonly given: GivenValues;
}

/** What a checked configuration says, with units taken away. */
export function policyChoice(written: WrittenPolicy): PolicyChoice {
  if (typeof written === "string") return { policy: written, given: {} };
  const { name, ...rest } = written;
  if (name.startsWith("plugin:")) return { policy: name, given: rest as GivenValues };
  const parameters: Parameters = policies.find((policy) => policy.name === name)?.parameters ?? {};
  const given: Record<string, Written> = {};
  for (const [key, text] of Object.entries(rest)) {
    const parameter = parameters[key];
    const parsed = parameter && text !== undefined ? parseValue(parameter, text) : undefined;
    if (parsed && "value" in parsed) given[key] = parsed.value;
  }
  return { policy: name, given };
}
