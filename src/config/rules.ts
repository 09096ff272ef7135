import { type Rule, unreachableRules } from "../engine/index.ts";
import { parsePrefix } from "../types/index.ts";
import { policyChoice } from "./policy-schema.ts";
import { portRange, type WrittenRule } from "./rule-schema.ts";
import { delayOf } from "./shared-schema.ts";
import { isTime } from "./times.ts";
import { userId } from "./users.ts";

function list<T>(written: T | readonly T[] | undefined): readonly T[] | undefined {
  if (written === undefined) return undefined;
  return Array.isArray(written) ? (written as readonly T[]) : [written as T];
}

/** Without what is undefined: two that say the same look the same. */
function said<T extends object>(record: T): T {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
}

/** What the engine takes of a rule that passed the schema. @param number from 0 */
export function ruleOf(written: WrittenRule, number: number): Rule {
  const { match, policy, limits, interfaces, delay } = written;
  const chosen = policy === undefined ? undefined : policyChoice(policy);
  return said<Rule>({
    name: written.name ?? String(number + 1),
    match: said({
      side: match.side,
      remote: list(match.remote)?.flatMap((text) => parsePrefix(text) ?? []),
      local: list(match.local)?.flatMap((text) => parsePrefix(text) ?? []),
      remotePorts: list(match.remote_port)?.flatMap((text) => [portRange(text) ?? []].filter(isRange)),
      localPorts: list(match.local_port)?.flatMap((text) => [portRange(text) ?? []].filter(isRange)),
      interfaces: list(match.interface),
      users: list(match.user)?.flatMap((user) => userId(user) ?? []),
      units: list(match.unit),
      cgroups: list(match.cgroup),
      commands: list(match.command),
    }),
    policy: chosen?.policy,
    given: chosen?.given,
    delay: delay === undefined ? undefined : delayOf(delay),
    limits: limits && said({ subflows: limits.subflows, addAddrAccepted: limits.add_addr_accepted }),
    interfaces:
      interfaces &&
      said({ allow: list(interfaces.allow), deny: list(interfaces.deny), backup: list(interfaces.backup) }),
  });
}

function isRange(range: readonly number[]): range is readonly [number, number] {
  return range.length === 2;
}

/** The rules of a configuration whose time it is. */
export function rulesAt(rules: readonly WrittenRule[], now: Date): readonly Rule[] {
  return rules
    .map((rule, number) => ({ rule, number }))
    .filter(({ rule: { match } }) => isTime({ time: match.time, days: list(match.days) }, now))
    .map(({ rule, number }) => ruleOf(rule, number));
}

/** Does what holds change with the time? */
export function haveTimes(rules: readonly WrittenRule[]): boolean {
  return rules.some(({ match: { time, days } }) => time !== undefined || days !== undefined);
}

/** Rules that nothing comes to, because one before takes it all; of rules with times nothing is said. */
export function unreachableTexts(rules: readonly WrittenRule[]): string[] {
  const timeless = rules.map(({ match: { time, days } }) => time === undefined && days === undefined);
  const always = rules.flatMap((rule, number) => (timeless[number] ? [ruleOf(rule, number)] : []));
  return unreachableRules(always).map(({ rule, because }) => {
    return `rule ${always[rule]!.name} is never reached: rule ${always[because]!.name} before it matches all that it matches`;
  });
}
