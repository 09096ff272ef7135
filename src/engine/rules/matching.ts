import { formatPrefix, formatSocketAddress, isWithin, matchesPattern, unmap } from "../../types/index.ts";
import type { Match, Owner, PortRange, RuleFacts } from "./rule.ts";

/** What has to be found out before it can be said whether a rule matches. */
export type Need = "socket" | "process";

/** undefined: it matches. Else why it does not, or what must be known. */
export type Verdict = undefined | { readonly mismatch: () => string } | { readonly needs: Need };

interface Condition {
  /** Does the rule say anything of it? */
  isSaid(match: Match): boolean;
  judge(match: Match, facts: RuleFacts, owner: Owner | undefined): Verdict;
}

/** In words only when somebody wants them: they cost time, and name more than was looked at. */
const mismatch = (text: () => string): Verdict => ({ mismatch: text });
const isIn = (ranges: readonly PortRange[], port: number): boolean =>
  ranges.some(([from, to]) => from <= port && port <= to);

/** Is one of the patterns the path, or above it? */
export function isUnder(patterns: readonly string[], cgroup: string): boolean {
  const parts = cgroup.split("/").filter((part) => part !== "");
  const above = parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`);
  return ["/", ...above].some((path) => patterns.some((pattern) => matchesPattern(pattern, path)));
}

/** Is one of the path's parts such a unit? */
export function isOfUnit(patterns: readonly string[], cgroup: string): boolean {
  return cgroup.split("/").some((part) => patterns.some((pattern) => matchesPattern(pattern, part)));
}

function prefixes(key: "local" | "remote"): Condition {
  return {
    isSaid: (match) => match[key] !== undefined,
    judge(match, { initial }) {
      const address = unmap(initial[key].address);
      const wanted = match[key] ?? [];
      if (wanted.some((prefix) => isWithin(prefix, address))) return undefined;
      return mismatch(() => `${key} address ${address} is not in ${wanted.map(formatPrefix).join(", ")}`);
    },
  };
}

function ports(key: "local" | "remote", of: "localPorts" | "remotePorts"): Condition {
  return {
    isSaid: (match) => match[of] !== undefined,
    judge(match, { initial }) {
      const wanted = match[of] ?? [];
      if (isIn(wanted, initial[key].port)) return undefined;
      return mismatch(
        () => `${key} port of ${formatSocketAddress(initial[key])} is not ${wanted.map(rangeText).join(", ")}`,
      );
    },
  };
}

function rangeText([from, to]: PortRange): string {
  return from === to ? `${from}` : `${from}-${to}`;
}

/** Of whose socket it is. */
function ofSocket<K extends "users" | "units" | "cgroups">(
  key: K,
  holds: (wanted: NonNullable<Match[K]>, socket: NonNullable<Owner["socket"]>) => boolean,
  name: (socket: NonNullable<Owner["socket"]>) => string,
): Condition {
  return {
    isSaid: (match) => match[key] !== undefined,
    judge(match, _facts, owner) {
      if (!owner) return { needs: "socket" };
      const wanted = match[key];
      if (!owner.socket) return mismatch(() => "whose socket it is cannot be found out");
      if (wanted !== undefined && holds(wanted, owner.socket)) return undefined;
      const { socket } = owner;
      return mismatch(() => `${name(socket)} is not ${wanted?.join(", ")}`);
    },
  };
}

/** Cheap ones first. */
export const CONDITIONS: readonly Condition[] = [
  {
    isSaid: ({ side }) => side !== undefined,
    judge: ({ side }, facts) => (side === facts.side ? undefined : mismatch(() => `this host is the ${facts.side}`)),
  },
  ports("remote", "remotePorts"),
  ports("local", "localPorts"),
  prefixes("remote"),
  prefixes("local"),
  {
    isSaid: ({ interfaces }) => interfaces !== undefined,
    judge({ interfaces = [] }, { interfaceName: name }) {
      if (name !== undefined && interfaces.some((pattern) => matchesPattern(pattern, name))) return undefined;
      return mismatch(() =>
        name === undefined ? "the interface is not known" : `interface ${name} is not ${interfaces.join(", ")}`,
      );
    },
  },
  ofSocket(
    "users",
    (wanted, { uid }) => wanted.includes(uid),
    ({ uid }) => `user ${uid}`,
  ),
  ofSocket(
    "units",
    (wanted, { cgroup }) => cgroup !== undefined && isOfUnit(wanted, cgroup),
    ({ cgroup }) => `unit in ${cgroup ?? "an unknown cgroup"}`,
  ),
  ofSocket(
    "cgroups",
    (wanted, { cgroup }) => cgroup !== undefined && isUnder(wanted, cgroup),
    ({ cgroup }) => `cgroup ${cgroup ?? "(unknown)"}`,
  ),
  {
    isSaid: ({ commands }) => commands !== undefined,
    judge({ commands = [] }, _facts, owner) {
      if (owner?.command === undefined) return { needs: "process" };
      const { command } = owner;
      if (command === null) return mismatch(() => "which command has the socket cannot be found out");
      if (commands.some((pattern) => matchesPattern(pattern, command))) return undefined;
      return mismatch(() => `command ${command} is not ${commands.join(", ")}`);
    },
  },
];

/** Does the rule match? The first condition that does not hold tells; what must be looked up comes last. */
export function judge(match: Match, facts: RuleFacts, owner: Owner | undefined): Verdict {
  for (const condition of CONDITIONS) {
    if (!condition.isSaid(match)) continue;
    const verdict = condition.judge(match, facts, owner);
    if (verdict) return verdict;
  }
  return undefined;
}
