import { type Address, formatAddress, matchesPattern, type Prefix, sharePrefix } from "../../types/index.ts";
import type { Match, Owner, PortRange, Rule, RuleFacts } from "./rule.ts";
import { RuleSet } from "./rule-set.ts";

/** A rule that nothing ever comes to, because an earlier one takes all that it matches. */
export interface Unreachable {
  readonly rule: number;
  readonly because: number;
}

/** Every rule that a single earlier one makes useless. */
export function unreachableRules(rules: readonly Rule[]): readonly Unreachable[] {
  const set = new RuleSet(rules);
  return rules.flatMap(({ match }, rule) => {
    const [facts, owner] = exampleOf(match);
    const because = set
      .candidates(facts, owner)
      .find((earlier) => earlier < rule && covers(rules[earlier]!.match, match));
    return because === undefined ? [] : [{ rule, because }];
  });
}

/** Something that the rule matches, as far as it names things: whatever covers the rule stands under one of these. */
function exampleOf({
  side,
  local,
  remote,
  localPorts,
  remotePorts,
  interfaces,
  users,
  units,
  commands,
}: Match): [RuleFacts, Owner] {
  const end = (prefixes: readonly Prefix[] | undefined, ports: readonly PortRange[] | undefined) => ({
    address: prefixes?.[0] ? formatAddress(prefixes[0].bytes) : ("" as Address),
    port: ports?.[0]?.[0] ?? -1,
  });
  return [
    {
      side: side ?? "client",
      initial: { local: end(local, localPorts), remote: end(remote, remotePorts) },
      interfaceName: interfaces?.[0],
    },
    { socket: { uid: users?.[0] ?? -1, cgroup: units?.[0] }, command: commands?.[0] ?? null },
  ];
}

/** Does everything that `narrow` matches match `wide` too? */
function covers(wide: Match, narrow: Match): boolean {
  return (
    (wide.side === undefined || wide.side === narrow.side) &&
    hasAll(wide.local, narrow.local, coversPrefix) &&
    hasAll(wide.remote, narrow.remote, coversPrefix) &&
    hasAll(wide.localPorts, narrow.localPorts, coversRange) &&
    hasAll(wide.remotePorts, narrow.remotePorts, coversRange) &&
    hasAll(wide.interfaces, narrow.interfaces, coversPattern) &&
    hasAll(wide.users, narrow.users, (a, b) => a === b) &&
    hasAll(wide.units, narrow.units, coversPattern) &&
    hasAll(wide.cgroups, narrow.cgroups, coversPattern) &&
    hasAll(wide.commands, narrow.commands, coversPattern)
  );
}

function hasAll<T>(
  wide: readonly T[] | undefined,
  narrow: readonly T[] | undefined,
  isIn: (wide: T, narrow: T) => boolean,
): boolean {
  if (wide === undefined) return true;
  return narrow?.every((one) => wide.some((other) => isIn(other, one))) ?? false;
}

function coversPrefix(wide: Prefix, narrow: Prefix): boolean {
  return (
    wide.bytes.length === narrow.bytes.length &&
    wide.length <= narrow.length &&
    sharePrefix(wide.bytes, narrow.bytes, wide.length)
  );
}

function coversRange([from, to]: PortRange, [first, last]: PortRange): boolean {
  return from <= first && last <= to;
}

/** Of patterns only what is certain: the same one, or one that fits a name. */
function coversPattern(wide: string, narrow: string): boolean {
  return wide === narrow || wide === "*" || (!/[*?[\]]/.test(narrow) && matchesPattern(wide, narrow));
}
