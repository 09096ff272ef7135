import {
  type Address,
  type Dbm,
  ENDPOINT_FLAG,
  type Endpoint,
  type Limits,
  type Millis,
  matchesPattern,
  unmap,
} from "../types/index.ts";
import { type Delay, NO_DELAY, sameDelay } from "./delay.ts";
import { formatValue, type GivenValues, type Values, valuesOf } from "./parameters.ts";
import type { Policy } from "./policy.ts";
import type { InterfaceChoice } from "./rules/rule.ts";
import type { RuleSet } from "./rules/rule-set.ts";
import type { EndpointTable } from "./table.ts";

/** How connections are treated that one rule, or no rule, is for. */
export interface TreatmentOptions {
  readonly policy: Policy;
  readonly given?: GivenValues | undefined;
  /** The rule that says so; "": none does. */
  readonly rule?: string | undefined;
  readonly limits?: Partial<Limits> | undefined;
  readonly interfaces?: InterfaceChoice | undefined;
  /** No subflow is opened before. */
  readonly delay?: Delay | undefined;
  /** Somebody asked for it, of this connection: rules do not change it. */
  readonly isByHand?: boolean | undefined;
}

/** Rules with what they lead to, by number. */
export interface CompiledRules {
  readonly set: Pick<RuleSet, "find" | "rules">;
  readonly treatments: readonly Treatment[];
  /** Does any of them say something of interfaces? */
  readonly nameInterfaces: boolean;
}

/** Where endpoints are, and what there are. */
export interface Whereabouts {
  readonly table: EndpointTable;
  /** Names of interfaces by the addresses that they have. */
  readonly interfaceNames: ReadonlyMap<Address, string>;
}

/** A policy with the values of its parameters and what else a rule says: shared by all connections that are treated so. */
export class Treatment {
  readonly policy: Policy;
  readonly values: Values;
  /** What of its parameters was given. */
  readonly given: GivenValues;
  readonly rule: string;
  readonly delay: Delay;
  readonly isByHand: boolean;
  /** "active-backup hold_down=10s": policy and what of it was given. The same text, the same plans. */
  readonly text: string;
  readonly #options: TreatmentOptions;
  readonly #signals: readonly Dbm[];
  #list: readonly Endpoint[] = [];
  #listOf: { readonly revision: number; readonly names: ReadonlyMap<Address, string> } | undefined;

  constructor(options: TreatmentOptions) {
    const { policy, given, rule = "", delay = NO_DELAY, isByHand = false } = options;
    this.#options = options;
    this.policy = policy;
    this.given = given ?? {};
    this.values = valuesOf(policy.parameters, given);
    this.#signals = policy.signalsWith?.(this.values) ?? NO_SIGNALS;
    this.rule = rule;
    this.delay = delay;
    this.isByHand = isByHand;
    this.text = [policy.name, ...describe(policy, given)].join(" ");
  }

  /** Nothing would change if it took the other's place. */
  isLike(other: Treatment): boolean {
    return this.text === other.text && sameDelay(this.delay, other.delay);
  }

  /** The same under a watch (foresee.ts). */
  under(policy: Policy): Treatment {
    return new Treatment({ ...this.#options, policy });
  }

  /** The same but for the policy, because somebody asked for it. */
  withPolicy(policy: Policy, given: GivenValues | undefined, delay: Delay = this.delay): Treatment {
    return new Treatment({ ...this.#options, policy, given, delay, isByHand: true });
  }

  /** What is wished and missing is tried again. */
  get triesAgain(): boolean {
    return this.policy.tries !== "once";
  }

  /** How often connections are to be measured; undefined: not by themselves. */
  get measures(): Millis | undefined {
    return this.policy.measures ?? this.policy.measuresWith?.(this.values);
  }

  /** Does the rule say anything of interfaces? */
  get choosesInterfaces(): boolean {
    const { allow = [], deny = [], backup = [] } = this.#options.interfaces ?? {};
    return allow.length + deny.length + backup.length > 0;
  }

  /** Bounds of Wi-Fi signals that its policy wants to hear of; none: it does not look at them. */
  get signals(): readonly Dbm[] {
    return this.policy.signals ?? this.#signals;
  }

  limitsOf({ limits }: EndpointTable): Limits {
    const own = this.#options.limits;
    if (!own) return limits;
    return {
      subflows: own.subflows ?? limits.subflows,
      addAddrAccepted: own.addAddrAccepted ?? limits.addAddrAccepted,
    };
  }

  /** The endpoints that these connections have, in the table's order. */
  endpointsOf({ table, interfaceNames }: Whereabouts): readonly Endpoint[] {
    if (!this.choosesInterfaces) return table.list;
    const { revision } = table;
    if (this.#listOf?.revision !== revision || this.#listOf.names !== interfaceNames) {
      this.#list = table.list.flatMap((endpoint) => this.#endpoint(endpoint, interfaceNames));
      this.#listOf = { revision, names: interfaceNames };
    }
    return this.#list;
  }

  #endpoint(endpoint: Endpoint, names: ReadonlyMap<Address, string>): readonly Endpoint[] {
    if (this.forbids(endpoint.address, names)) return [];
    if (!this.isBackup(endpoint.address, names)) return [endpoint];
    return [{ ...endpoint, flags: endpoint.flags | ENDPOINT_FLAG.backup }];
  }

  /** Is the address on an interface that these connections are not to use? Of one whose interface is not known, nothing is said. */
  forbids(address: Address, names: ReadonlyMap<Address, string>): boolean {
    const { allow = [], deny = [] } = this.#options.interfaces ?? {};
    if (allow.length + deny.length === 0) return false;
    const name = names.get(unmap(address));
    if (name === undefined) return false;
    return (allow.length > 0 && !isAny(allow, name)) || isAny(deny, name);
  }

  /** Is the address on an interface that is backup for these connections? */
  isBackup(address: Address, names: ReadonlyMap<Address, string>): boolean {
    const { backup = [] } = this.#options.interfaces ?? {};
    const name = backup.length > 0 ? names.get(unmap(address)) : undefined;
    return name !== undefined && isAny(backup, name);
  }
}

const NO_SIGNALS: readonly Dbm[] = [];

function isAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, name));
}

function describe({ parameters }: Policy, given: GivenValues = {}): string[] {
  // What they mean is known elsewhere.
  if (!parameters) return Object.entries(given).map(([name, value]) => `${name}=${value}`);
  return Object.entries(parameters).flatMap(([name, parameter]) => {
    const value = given[name];
    return value === undefined || value === parameter.default ? [] : [`${name}=${formatValue(parameter, value)}`];
  });
}
