import { type Prefix, type Side, unmap } from "../../types/index.ts";
import { judge, type Need } from "./matching.ts";
import { PrefixIndex } from "./prefixes.ts";
import type { Match, Owner, PortRange, Rule, RuleFacts } from "./rule.ts";

/** The number of the first rule that matches (undefined: none), or what must be known before that can be said. */
export type Found = { readonly rule: number | undefined } | { readonly needs: Need };

/** More values of one condition than these are not worth a place each: the rule is looked at each time. */
const VALUES_MAX = 256;
/** Rules that hang on whose socket it is are tried one by one, so many; with more it is looked up at once. */
const TRIED_MAX = 16;

/** What a rule can be found by: one of its conditions. */
type Key =
  | { readonly by: "remote" | "local"; readonly values: readonly Prefix[] }
  | { readonly by: "remotePort" | "localPort" | "user"; readonly values: readonly number[] }
  | { readonly by: "interface" | "unit" | "command"; readonly values: readonly string[] };

/** Those rules that may be for one side: each stands under the rarest of its conditions, so that few are looked at, however many there are. */
export class RuleIndex {
  readonly #rules: readonly Rule[];
  readonly #remote = new PrefixIndex();
  readonly #local = new PrefixIndex();
  readonly #remotePort = new Map<number, number[]>();
  readonly #localPort = new Map<number, number[]>();
  readonly #interface = new Map<string, number[]>();
  readonly #user = new Map<number, number[]>();
  readonly #unit = new Map<string, number[]>();
  readonly #command = new Map<string, number[]>();
  /** Those that stand under whose socket it is. */
  readonly #byOwner: number[] = [];
  /** Those of them that stand under which command it is. */
  readonly #byCommand: number[] = [];
  /** Those that have no condition to stand under. */
  readonly #always: number[] = [];

  constructor(rules: readonly Rule[], side: Side) {
    this.#rules = rules;
    const isFor = ({ match }: Rule): boolean => match.side === undefined || match.side === side;
    const rarity = countKeys(rules.filter(isFor));
    for (const [number, rule] of rules.entries()) if (isFor(rule)) this.#put(number, rarestKey(rule.match, rarity));
  }

  /** The first rule that matches. */
  find(facts: RuleFacts, owner: Owner | undefined): Found {
    let best = this.#rules.length;
    let open = this.#rules.length;
    let needs: Need = "socket";
    const look = (list: readonly number[]): void => {
      for (const number of list) {
        if (number >= best) return;
        const verdict = judge(this.#rules[number]!.match, facts, owner);
        if (!verdict) best = number;
        else if ("needs" in verdict && number < open) {
          open = number;
          needs = verdict.needs;
        }
      }
    };
    this.#eachCandidates(facts, owner, look);
    if (!owner) {
      const few = this.#byOwner.slice(0, TRIED_MAX);
      look(few);
      const next = this.#byOwner[TRIED_MAX];
      if (next !== undefined && next < Math.min(best, open)) return { needs: "socket" };
    }
    if (open < best) return { needs };
    return { rule: best < this.#rules.length ? best : undefined };
  }

  /** Numbers of the rules that stand under something that these facts name, in order. */
  candidates(facts: RuleFacts, owner: Owner): readonly number[] {
    const found: number[] = [];
    this.#eachCandidates(facts, owner, (list) => found.push(...list));
    return found.sort((a, b) => a - b);
  }

  #eachCandidates(facts: RuleFacts, owner: Owner | undefined, look: (list: readonly number[]) => void): void {
    if (this.#always.length > 0) look(this.#always);
    const { interfaceName } = facts;
    if (interfaceName !== undefined) lookUp(this.#interface, interfaceName, look);
    if (this.#remotePort.size > 0) lookUp(this.#remotePort, facts.initial.remote.port, look);
    if (this.#localPort.size > 0) lookUp(this.#localPort, facts.initial.local.port, look);
    if (!this.#remote.isEmpty) this.#remote.each(unmap(facts.initial.remote.address), look);
    if (!this.#local.isEmpty) this.#local.each(unmap(facts.initial.local.address), look);
    const { socket, command } = owner ?? {};
    if (socket) lookUp(this.#user, socket.uid, look);
    if (socket?.cgroup !== undefined && this.#unit.size > 0)
      for (const part of socket.cgroup.split("/")) lookUp(this.#unit, part, look);
    if (typeof command === "string") lookUp(this.#command, command, look);
    // Which command it is was not asked yet: any of them may be it.
    else if (owner && command === undefined) look(this.#byCommand);
  }

  #put(number: number, key: Key | undefined): void {
    if (!key) {
      this.#always.push(number);
      return;
    }
    if (key.by === "command") this.#byCommand.push(number);
    if (key.by === "user" || key.by === "unit" || key.by === "command") this.#byOwner.push(number);
    switch (key.by) {
      case "remote":
      case "local":
        for (const prefix of key.values) (key.by === "remote" ? this.#remote : this.#local).add(prefix, number);
        return;
      case "remotePort":
        return putAll(this.#remotePort, key.values, number);
      case "localPort":
        return putAll(this.#localPort, key.values, number);
      case "user":
        return putAll(this.#user, key.values, number);
      case "interface":
        return putAll(this.#interface, key.values, number);
      case "unit":
        return putAll(this.#unit, key.values, number);
      case "command":
        return putAll(this.#command, key.values, number);
    }
  }
}

function putAll<K>(map: Map<K, number[]>, keys: readonly K[], number: number): void {
  for (const key of new Set(keys)) {
    const list = map.get(key);
    if (list) list.push(number);
    else map.set(key, [number]);
  }
}

function lookUp<K>(map: ReadonlyMap<K, number[]>, key: K, look: (list: readonly number[]) => void): void {
  const list = map.get(key);
  if (list) look(list);
}

/** Conditions that can be looked up: those that name things, not patterns of things. */
function keysOf(match: Match): readonly Key[] {
  const keys: Key[] = [];
  for (const by of ["remote", "local"] as const) {
    const values = match[by];
    if (values) keys.push({ by, values });
  }
  const remotePorts = singles(match.remotePorts);
  if (remotePorts) keys.push({ by: "remotePort", values: remotePorts });
  const localPorts = singles(match.localPorts);
  if (localPorts) keys.push({ by: "localPort", values: localPorts });
  if (match.users) keys.push({ by: "user", values: match.users });
  for (const [by, values] of [
    ["interface", match.interfaces],
    ["unit", match.units],
    ["command", match.commands],
  ] as const)
    if (values && !values.some(isPattern)) keys.push({ by, values });
  return keys.filter(({ values }) => values.length <= VALUES_MAX);
}

function isPattern(text: string): boolean {
  return /[*?[\]]/.test(text);
}

function singles(ranges: readonly PortRange[] | undefined): readonly number[] | undefined {
  const size = ranges?.reduce((sum, [from, to]) => sum + to - from + 1, 0) ?? 0;
  if (!ranges || size > VALUES_MAX) return undefined;
  return ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
}

function nameOf(by: Key["by"], value: Prefix | number | string): string {
  return typeof value === "object" ? `${by} ${value.bytes}/${value.length}` : `${by} ${value}`;
}

/** How many rules have each value. */
function countKeys(rules: readonly Rule[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { match } of rules)
    for (const { by, values } of keysOf(match))
      for (const value of values) counts.set(nameOf(by, value), (counts.get(nameOf(by, value)) ?? 0) + 1);
  return counts;
}

/** The condition whose commonest value fewest rules have; where nothing is to be looked up, if there is one as rare. */
function rarestKey(match: Match, counts: ReadonlyMap<string, number>): Key | undefined {
  let rarest: Key | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const key of keysOf(match)) {
    const most = Math.max(0, ...key.values.map((value) => counts.get(nameOf(key.by, value)) ?? 0));
    if (most < least) {
      rarest = key;
      least = most;
    }
  }
  return rarest;
}
