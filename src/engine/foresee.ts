import type { Path } from "../types/index.ts";
import type { Connection } from "./model.ts";
import type { ConnectionView, PairView, Policy, RemotePoint } from "./policy.ts";
import type { RuleFacts } from "./rules/rule.ts";
import type { Found } from "./rules/rule-set.ts";
import type { CompiledRules } from "./treatment.ts";

/*
 * A plan can be prepared if the policy came to it without looking at what only the connection itself will tell: its token, its ports,
 * the peer's address, the time. So it is given a view that writes down whether it looks.
 */

/** What is written down: `isOn` while the policy thinks, not while the engine answers it. */
export class Watch {
  isOn = false;
  hasSeen = false;

  note(): void {
    if (this.isOn) this.hasSeen = true;
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
        watch.note();
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
      watch.note();
      return point.address;
    },
    get port() {
      watch.note();
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
export function watchedRules({ set, treatments }: CompiledRules, watch: Watch): CompiledRules {
  const find = (facts: RuleFacts): Found => {
    watch.isOn = true;
    const found = set.find(facts, undefined);
    if ("needs" in found) watch.note();
    watch.isOn = false;
    return found;
  };
  const watched = treatments.map((treatment) => treatment.under(watchedPolicy(treatment.policy, watch)));
  return { set: { find, rules: set.rules }, treatments: watched };
}

/** What differs from connection to connection, or from one moment to the next. */
const PARTICULAR: ReadonlySet<string | symbol> = new Set(["token", "now"]);

function watchedView(connection: Connection, watch: Watch): ConnectionView {
  return new Proxy<ConnectionView>(connection, {
    get(_view, key) {
      if (PARTICULAR.has(key)) watch.note();
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
