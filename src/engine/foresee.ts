import type { Path } from "../types/index.ts";
import type { Action } from "./actions.ts";
import type { Connection } from "./model.ts";
import type { ConnectionView, PairView, Policy, RemotePoint } from "./policy.ts";
import type { RuleFacts } from "./rules/rule.ts";
import type { Found } from "./rules/rule-index.ts";
import type { CompiledRules } from "./treatment.ts";

/*
 * A plan can be prepared for all connections that are alike in what it was made from. What only the connection itself will tell (its token,
 * its ports, the peer's address) and the time may be looked at, so policies and rules are given a view that writes down what they look at.
 */

/** What one connection tells and the next may tell otherwise; "itself": what no other has again, or nobody knows beforehand. */
export type Particular = "remote address" | "remote port" | "local port" | "itself";

/** What a connection would get. */
export interface Foreseen {
  /** Nothing where it depends on the connection itself. */
  readonly actions: readonly Action[];
  /** Whatever has other values here may get something else. */
  readonly because: ReadonlySet<Particular>;
}

/** What is written down: `isOn` while the policy thinks, not while the engine answers it. */
export class Watch {
  isOn = false;
  readonly seen = new Set<Particular>();

  note(what: Particular): void {
    if (this.isOn) this.seen.add(what);
  }

  /** The engine's own look. */
  quietly<T>(look: () => T): T {
    const before = this.isOn;
    this.isOn = false;
    try {
      return look();
    } finally {
      this.isOn = before;
    }
  }
}

/** The same path; who looks at its ports and its remote end is noted. */
export function watchedPath({ local, remote }: Path, watch: Watch): Path {
  return {
    local: {
      address: local.address,
      get port() {
        watch.note("local port");
        return local.port;
      },
    },
    remote: watchedPoint({ id: 0, ...remote }, watch),
  };
}

function watchedPoint(point: RemotePoint, watch: Watch): RemotePoint {
  return {
    id: point.id,
    get address() {
      watch.note("remote address");
      return point.address;
    },
    get port() {
      watch.note("remote port");
      return point.port;
    },
  };
}

/** The same policy under a watch. */
export function watchedPolicy(policy: Policy, watch: Watch): Policy {
  const under = <T>(think: () => T): T => {
    watch.isOn = true;
    try {
      return think();
    } finally {
      watch.isOn = false;
    }
  };
  return {
    ...policy,
    begin: (view) => under(() => policy.begin?.(watchedView(view as Connection, watch))),
    plan: (view, memory, occasion, values) =>
      under(() => policy.plan(watchedView(view as Connection, watch), memory, occasion, values)),
  };
}

/** The same rules under a watch; what a rule asks of the owner no one knows beforehand. */
export function watchedRules({ set, treatments, nameInterfaces }: CompiledRules, watch: Watch): CompiledRules {
  const find = (facts: RuleFacts): Found => {
    watch.isOn = true;
    const found = set.find(facts, undefined);
    if ("needs" in found) watch.note("itself");
    watch.isOn = false;
    return found;
  };
  const watched = treatments.map((treatment) => treatment.under(watchedPolicy(treatment.policy, watch)));
  return { set: { find, rules: set.rules }, treatments: watched, nameInterfaces };
}

/** What differs from connection to connection, or from one moment to the next. */
const ALWAYS_ANOTHER: ReadonlySet<string | symbol> = new Set(["token", "now"]);

function watchedView(connection: Connection, watch: Watch): ConnectionView {
  return new Proxy<ConnectionView>(connection, {
    get(_view, key) {
      if (ALWAYS_ANOTHER.has(key)) watch.note("itself");
      const value: unknown = watch.quietly(() => Reflect.get(connection, key, connection));
      if (key === "pairs") return (value as readonly PairView[]).map((pair) => watchedPair(pair, watch));
      if (key === "initialRemote") return watchedPoint(value as RemotePoint, watch);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => watch.quietly(() => Reflect.apply(value, connection, args) as unknown);
    },
  });
}

function watchedPair(pair: PairView, watch: Watch): PairView {
  return {
    local: pair.local,
    remote: watchedPoint(pair.remote, watch),
    get subflows() {
      return watch.quietly(() => pair.subflows);
    },
    get attempt() {
      return watch.quietly(() => pair.attempt);
    },
    get blocked() {
      return watch.quietly(() => pair.blocked);
    },
  };
}
