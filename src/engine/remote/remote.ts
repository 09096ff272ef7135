import { type Address, type Dbm, type Millis, sameAddress } from "../../types/index.ts";
import type { Connection } from "../model.ts";
import type { ConnectionPlan, ConnectionView, Occasion, PairView, Policy, Wanted } from "../policy.ts";
import type { State } from "../state.ts";
import type { Subflow } from "../subflow.ts";
import type { RemotePlan } from "./plain.ts";
import { plainOccasion, plainView } from "./plain-view.ts";
import type { Standing } from "./standing.ts";

/*
 * A policy that somebody else wrote lives in a process of its own: it is asked, and answers later or never. Until it has answered, its last plan
 * holds; without one, for a moment nothing, and then what `resilient` plans. An answer to an older question is no answer.
 */

/** So long nothing is planned, because the first answer is to come; then `resilient` does. */
const PATIENCE: Millis = 250;

/** An engine's stand-in for a policy elsewhere; what it plans is {@link planOf}. */
export class StandIn implements Policy {
  readonly name: string;
  /** As the process says when it has begun. */
  measures?: Millis;
  signals?: readonly Dbm[];

  constructor(name: string) {
    this.name = name;
  }

  plan({ subflows }: ConnectionView): ConnectionPlan {
    return keepAll(subflows);
  }
}

function keepAll(subflows: readonly { readonly state: string }[]): ConnectionPlan {
  return { subflows: subflows.filter(({ state }) => state !== "closing").map((keep) => ({ keep: keep as Subflow })) };
}

/** Is the connection's policy elsewhere? */
export function isElsewhere(state: State, { treatment }: Connection): boolean {
  return state.remotes.has(treatment.policy.name);
}

/** Asks, and says what holds until there is an answer; undefined: nothing is to be done yet. */
export function consultRemote(state: State, connection: Connection, occasion: Occasion): ConnectionPlan | undefined {
  const { policy, given } = connection.treatment;
  const isUp = state.remotes.get(policy.name)?.isUp ?? false;
  connection.remote ??= begin(state.now);
  const standing = connection.remote;
  if (isUp) {
    standing.version++;
    standing.asked = connection.subflows.filter(({ state: at }) => at !== "closing");
    const view = plainView(connection, standing.asked);
    const { token } = connection;
    const { version, memory } = standing;
    const about = plainOccasion(occasion, view, standing.asked);
    state.act({ type: "policy.ask", token, policy: policy.name, version, view, occasion: about, memory, given });
  }
  return planOf(state, connection, occasion);
}

function begin(now: Millis): Standing {
  return { version: 0, since: now, asked: [], seen: [], plan: undefined, memory: undefined };
}

/** What holds now. */
export function planOf(state: State, connection: Connection, occasion: Occasion): ConnectionPlan | undefined {
  const { remote: standing, treatment } = connection;
  const isUp = state.remotes.get(treatment.policy.name)?.isUp ?? false;
  if (standing?.plan) return translated(connection, standing.plan, standing.seen);
  if (standing && isUp && state.now - standing.since < PATIENCE) {
    connection.wakeAt = Math.min(connection.wakeAt, standing.since + PATIENCE);
    return undefined;
  }
  const fallback = state.policies.find(({ name }) => name === "resilient");
  return fallback?.plan(connection, undefined, occasion, {}) ?? keepAll(connection.subflows);
}

/**
 * The last plan as it is to be read now: what it did not know of stays, what it opened is not opened again, and what it wanted to keep and was
 * lost is wanted still.
 */
function translated(connection: Connection, plan: RemotePlan, seen: readonly Subflow[]): ConnectionPlan {
  const subflows: Wanted[] = [];
  const fresh: Subflow[] = [];
  for (const subflow of connection.subflows) {
    if (subflow.state === "closing") continue;
    const place = seen.indexOf(subflow);
    const wish = plan.subflows.find(({ keep }) => keep === place && place >= 0);
    if (wish) subflows.push({ keep: subflow, backup: wish.backup });
    else if (place < 0) {
      subflows.push({ keep: subflow });
      fresh.push(subflow);
    }
  }
  for (const wish of plan.subflows) {
    const open = openOf(connection, wish, seen);
    if (!open) continue;
    const there = fresh.findIndex(({ path }) => isBetween(path, open));
    if (there < 0) subflows.push({ open, backup: wish.backup });
    else fresh.splice(there, 1);
  }
  const { announcements, ask } = plan;
  return {
    subflows,
    announcements: announcements && connection.endpoints.filter(({ id }) => announcements.includes(id)),
    ask: ask && connection.remotes.filter(({ id, state }) => ask.includes(id) && state !== "waiting"),
    wakeAt: typeof plan.wakeAt === "number" && plan.wakeAt <= connection.now ? undefined : plan.wakeAt,
  };
}

type Wish = RemotePlan["subflows"][number];

/** The pair that is to get a subflow, where there can be one; undefined: none. */
function openOf(connection: Connection, { keep, open }: Wish, seen: readonly Subflow[]): PairView | undefined {
  const kept = keep === undefined ? undefined : seen[keep];
  const isLost = kept?.initiated && kept.join && !connection.subflows.includes(kept);
  const wanted = open ?? (isLost ? kept.path : undefined);
  return wanted && connection.pairs.find((pair) => pair.blocked === "" && isBetween(wanted, pair));
}

interface Ends {
  readonly local: { readonly address: Address };
  readonly remote: { readonly address: Address };
}

function isBetween(path: Ends, { local, remote }: Ends): boolean {
  return sameAddress(path.local.address, local.address) && sameAddress(path.remote.address, remote.address);
}
