import {
  type ConnectionPlan,
  checkGiven,
  type GivenValues,
  type OpenPair,
  type Policy,
  type RemotePlan,
  type SubflowView,
  type Values,
  valuesOf,
} from "../engine/index.ts";
import { type FromPlugin, PLUGIN_VERSION, type PlanRequest } from "./language.ts";
import { restored } from "./view.ts";

/** So much of what a policy threw is passed on. */
const FAULT_MAX = 200;
/** Texts of parameters whose values are remembered. */
const VALUES_MAX = 100;

/** Asks a policy what is asked of its process. Keeps nothing of a connection: its memory comes with the question. */
export class Runner {
  readonly #policy: Policy;
  readonly #values = new Map<string, Values>();

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  get hello(): FromPlugin {
    const { about = "", measures, signals, parameters = {} } = this.#policy;
    return { type: "hello", version: PLUGIN_VERSION, about, measures, signals, parameters };
  }

  /** @returns the answer to a line; undefined: it is no question (the rest of one that somebody else was killed over) */
  answer(line: string): FromPlugin | undefined {
    let request: PlanRequest;
    try {
      request = JSON.parse(line) as PlanRequest;
    } catch {
      return undefined;
    }
    if (request?.type !== "plan") return undefined;
    const { id } = request;
    try {
      return { type: "plan", id, plan: this.#plan(request) };
    } catch (error) {
      const fault = error instanceof Error ? `${error.name}: ${error.message}` : "it threw something that is no Error";
      return { type: "fault", id, fault: fault.slice(0, FAULT_MAX) };
    }
  }

  #plan(request: PlanRequest): RemotePlan {
    const { view, occasion } = restored(request.view, request.occasion);
    const memory = request.memory === undefined ? this.#policy.begin?.(view) : request.memory;
    const plan = this.#policy.plan(view, memory, occasion, this.#valuesFor(request.given));
    return plainPlan(plan, view.subflows, memory);
  }

  #valuesFor(given: GivenValues): Values {
    const key = JSON.stringify(given);
    const known = this.#values.get(key);
    if (known) return known;
    const checked = checkGiven(this.#policy, given);
    if ("fault" in checked) throw new Error(checked.fault);
    const values = valuesOf(this.#policy.parameters, checked.given);
    if (this.#values.size >= VALUES_MAX) this.#values.clear();
    this.#values.set(key, values);
    return values;
  }
}

/** Subflows by their places; a subflow that is none of the view's is the place -1, which the daemon refuses. */
function plainPlan(plan: ConnectionPlan, seen: readonly SubflowView[], memory: unknown): RemotePlan {
  const { subflows, announcements, ask, wakeAt } = plan;
  return {
    subflows: subflows.map(({ keep, open, backup }) =>
      keep ? { keep: seen.indexOf(keep), backup } : { open: open && plainPair(open), backup },
    ),
    announcements: announcements?.map(({ id }) => id),
    ask: ask?.map(({ id }) => id),
    memory: plan.memory ?? memory,
    // JSON has no Infinity, which is never.
    wakeAt: wakeAt === Number.POSITIVE_INFINITY ? undefined : wakeAt,
  };
}

/** Policies hand over whole pairs, with all that is known of them. */
function plainPair({ local, remote: { id, address, port } }: OpenPair): OpenPair {
  return { local, remote: { id, address, port } };
}
