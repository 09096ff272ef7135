import { type Address, ENDPOINT_FLAG, type Endpoint, familyOf, type Millis } from "../types/index.ts";
import type { HostChange, HostNote } from "./actions.ts";
import type { PlannedEndpoint } from "./endpoints.ts";
import { endpointKey } from "./facts.ts";
import { isTooMuch, type PathLosses } from "./losses.ts";
import type { HostPlan } from "./plan.ts";

/*
 * A path that loses much holds up all data behind what it has lost. Its endpoint becomes backup for a while, which the kernel tells the peers of
 * every connection with a subflow from there (MP_PRIO), and which closes nothing. Not while some connection fills its paths, nor where one
 * has no other: to lose what such a path carries would cost more.
 */

/** Doubled each time, as long as it is lossy again soon after. */
export const FIRST: Millis = 5000;
export const LONGEST: Millis = 300_000;
/** Where it was well for so long the next time is the first one again. */
const WELL_AFTER: Millis = 60_000;

interface Quarantine {
  /** How long this one lasts. */
  readonly time: Millis;
  readonly until: Millis;
  /** In parts of a hundred. */
  readonly share: number;
}

const { subflow, backup } = ENDPOINT_FLAG;

/** Which local addresses are not to be sent from for now. */
export class LossyPaths {
  readonly #quarantines = new Map<Address, Quarantine>();
  /** Those that are over. */
  readonly #before = new Map<Address, Pick<Quarantine, "time" | "until">>();
  /** Where data may go by the plan in force, and nothing is against its being backup. */
  #carriers: readonly Address[] = [];

  get nextTick(): Millis | undefined {
    let next: Millis | undefined;
    for (const { until } of this.#quarantines.values()) if (next === undefined || until < next) next = until;
    return next;
  }

  /** There is a choice of paths: looking at them may be of use. */
  get mayChoose(): boolean {
    return this.#carriers.length > 1 || this.#quarantines.size > 0;
  }

  /** Some path is backup for now. */
  get isHolding(): boolean {
    return this.#quarantines.size > 0;
  }

  /** What is backup for now, a sentence each. */
  get troubles(): readonly string[] {
    return [...this.#quarantines].map(([address, { share }]) => `${address} is backup for now: ${sayWhy(share)}`);
  }

  /** @returns whether some have done their time */
  onTick(now: Millis): boolean {
    const due = [...this.#quarantines].filter(([, { until }]) => until <= now).map(([address]) => address);
    for (const address of due) this.#release(address, now);
    return due.length > 0;
  }

  /** @returns whether the plan is to be made anew, and what is said of it */
  onLosses(
    paths: readonly PathLosses[],
    now: Millis,
  ): { readonly isNew: boolean; readonly notes: readonly HostNote[] } {
    const full = paths.filter(({ address, isFull }) => isFull && this.#quarantines.has(address));
    // It was full rather than lossy: nothing is held against it.
    for (const { address } of full) this.#quarantines.delete(address);
    const notes = full.map(({ address }) => say(`${address} carries again: a transfer fills the other paths`));
    const worst = this.#worst(paths, now);
    if (worst) {
      const share = Math.round((100 * worst.resent) / worst.sent);
      const time = this.#timeOf(worst.address, now);
      this.#quarantines.set(worst.address, { time, until: now + time, share });
      notes.push(say(`${worst.address} is backup for ${time / 1000} s: ${sayWhy(share)}`));
    }
    return { isNew: notes.length > 0, notes };
  }

  /** This plan is in force from now on. @param owned what else is there is not ours to change */
  onPlan(plan: HostPlan, owned: ReadonlySet<string>): void {
    const ours = plan.endpoints.filter((endpoint) => carries(endpoint) && owned.has(endpointKey(endpoint)));
    this.#carriers = ours.map(({ address }) => address);
    const carriers = carriersOf(plan);
    for (const address of this.#quarantines.keys())
      if (!carriers.includes(address) || !this.#mayRest(address, carriers)) this.#quarantines.delete(address);
  }

  /** The plan with the flags of what is lossy. */
  shape(plan: HostPlan): HostPlan {
    if (this.#quarantines.size === 0) return plan;
    const carriers = carriersOf(plan);
    return { ...plan, endpoints: plan.endpoints.map((endpoint) => this.#shaped(endpoint, carriers)) };
  }

  /** What makes ours carry again, for what comes after us knows nothing of it. */
  undone(endpoints: readonly Endpoint[], owned: ReadonlySet<string>): HostChange[] {
    return endpoints
      .filter((each) => this.#quarantines.has(each.address) && each.flags & backup && owned.has(endpointKey(each)))
      .map(({ id, address, port, flags }) => ({ type: "endpoint.flags", id, address, port, flags: flags & ~backup }));
  }

  #shaped(endpoint: PlannedEndpoint, carriers: readonly Address[]): PlannedEndpoint {
    const quarantine = this.#quarantines.get(endpoint.address);
    if (!quarantine || !carries(endpoint) || !this.#mayRest(endpoint.address, carriers)) return endpoint;
    const because = `${endpoint.because}; backup for now, as ${sayWhy(quarantine.share)}`;
    return { ...endpoint, flags: endpoint.flags | backup, because };
  }

  /** Another one carries meanwhile. Where nothing else would, what was to carry carries, however much it loses. */
  #mayRest(address: Address, carriers: readonly Address[]): boolean {
    return carriers.some(
      (other) => other !== address && familyOf(other) === familyOf(address) && !this.#quarantines.has(other),
    );
  }

  /** One at a time: what the next look shows is without it. */
  #worst(paths: readonly PathLosses[], now: Millis): PathLosses | undefined {
    const lossy = paths.filter(
      (path) =>
        this.#carriers.includes(path.address) &&
        !this.#quarantines.has(path.address) &&
        this.#mayRest(path.address, this.#carriers) &&
        !(path.isFull || path.isCrowded) &&
        !path.isNeeded &&
        isTooMuch(path, this.#wasLossy(path.address, now)) &&
        // What one connection loses among many is lost at its peer's end.
        2 * path.lossy >= path.judged,
    );
    return lossy.sort((a, b) => b.resent / b.sent - a.resent / a.sent)[0];
  }

  #timeOf(address: Address, now: Millis): Millis {
    const { time = FIRST } = this.#before.get(address) ?? {};
    return this.#wasLossy(address, now) ? Math.min(LONGEST, 2 * time) : FIRST;
  }

  #wasLossy(address: Address, now: Millis): boolean {
    const before = this.#before.get(address);
    return before !== undefined && now - before.until < WELL_AFTER;
  }

  #release(address: Address, now: Millis): void {
    const { time = FIRST } = this.#quarantines.get(address) ?? {};
    this.#quarantines.delete(address);
    for (const [each, { until }] of this.#before) if (now - until >= WELL_AFTER) this.#before.delete(each);
    this.#before.set(address, { time, until: now });
  }
}

function carriersOf({ endpoints }: HostPlan): readonly Address[] {
  return endpoints.filter(carries).map(({ address }) => address);
}

/** Of an interface's role: what the configuration names itself is as it says. */
function carries({ role, flags }: PlannedEndpoint): boolean {
  return role !== undefined && (flags & subflow) !== 0 && (flags & backup) === 0;
}

function sayWhy(share: number): string {
  return `${share} % of what was sent from there had to be sent again`;
}

function say(text: string): HostNote {
  return { type: "say", level: "info", text };
}
