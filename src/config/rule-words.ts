import type { ToldRule, ToldRules } from "../types/index.ts";
import type { WrittenRule } from "./rule-schema.ts";
import { rulesAt } from "./rules.ts";

/** So many are told: what a person reads. */
const RULES_MAX = 100;
/** A list may be long. */
const WORDS_MAX = 200;

/** The rules of a configuration in words, in their order, and whose time it is. */
export function toldRules(rules: readonly WrittenRule[], now: Date): ToldRules {
  const awake = new Set(rulesAt(rules, now).map(({ name }) => name));
  const told = rules.slice(0, RULES_MAX).map((rule, number): ToldRule => {
    const name = rule.name ?? String(number + 1);
    return { name, match: clipped(matchWords(rule)), treatment: clipped(treatmentWords(rule)), isNow: awake.has(name) };
  });
  return { rules: told, more: rules.length - told.length };
}

function matchWords({ match }: WrittenRule): string {
  const parts = Object.entries(match).map(([key, value]) => `${key.replaceAll("_", " ")} ${listWords(value)}`);
  return parts.length === 0 ? "everything" : parts.join(", ");
}

function treatmentWords({ policy, delay, limits, interfaces }: WrittenRule): string {
  return [
    ...(policy === undefined ? [] : [`policy ${policyWords(policy)}`]),
    ...(delay === undefined ? [] : [`delay ${delay}`]),
    ...Object.entries(limits ?? {}).map(([name, value]) => `${name} ${value}`),
    ...Object.entries(interfaces ?? {}).map(([name, value]) => `${name} ${listWords(value)}`),
  ].join(", ");
}

function policyWords(policy: NonNullable<WrittenRule["policy"]>): string {
  if (typeof policy === "string") return policy;
  const { name, ...parameters } = policy;
  return [name, ...Object.entries(parameters).map(([key, value]) => `${key}=${String(value)}`)].join(" ");
}

function listWords(value: unknown): string {
  return Array.isArray(value) ? value.join(" or ") : String(value);
}

function clipped(text: string): string {
  return text.length <= WORDS_MAX ? text : `${text.slice(0, WORDS_MAX - 1)}…`;
}
