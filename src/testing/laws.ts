import type { ConnectionPlan, ConnectionView, Occasion, Policy, Values } from "../engine/index.ts";
import { FAULTS, NO_FAULTS, SimulationError, type SimulationOptions, simulate } from "../sim/index.ts";
import type { Dbm, Millis } from "../types/index.ts";
import { Stage } from "./stage.ts";

/** A policy breaks a law: which, and how to see it again. */
export class LawBroken extends Error {
  override readonly name: string = "LawBroken";
  readonly law: string;
  /** What led to it: the last events and actions. */
  readonly #transcript: readonly string[];

  constructor(law: string, detail: string, transcript: readonly string[] = []) {
    super(`${law}: ${detail}`);
    this.law = law;
    this.#transcript = transcript;
  }

  /** Long: not among what a test runner prints of an error. */
  get transcript(): readonly string[] {
    return this.#transcript;
  }
}

/** How long the laws are tried. */
export interface CheckOptions {
  /** Runs of the simulation, each with a seed of its own; default 20. */
  readonly runs?: number | undefined;
  /** Of the first run; default 1. */
  readonly seed?: number | undefined;
  /** Steps of each; default 1000. */
  readonly steps?: number | undefined;
  /** The policy opens more than one subflow of a pair. */
  readonly severalPerPair?: boolean | undefined;
}

/** Something that each policy must keep. */
export interface Law {
  /** What it says, for people. */
  readonly says: string;
  /** @throws LawBroken */
  readonly check: (policy: Policy, options?: CheckOptions) => void;
}

/** All of them, tried with made-up kernels, networks and administrators. */
export const LAWS: readonly Law[] = [
  { says: "when nothing happens it is seldom asked: what it waits for is not the next moment", check: waitsLong },
  {
    says:
      "no plan is refused; planning twice gives the same, and changes neither view nor memory; the last subflow is never closed, " +
      "whatever goes wrong around it",
    check: holdsInSimulation,
  },
  { says: "when all has succeeded nothing is left to do", check: comesToRest },
  { says: "what comes and goes all the time leads to bounded commands", check: isBoundedUnderFlapping },
  {
    says: "so do paths that are good and bad by turns, and one of them is no backup all the time",
    check: (policy) => {
      const looksAtSignals = policy.signals !== undefined || policy.signalsWith !== undefined;
      for (const period of [500, 3000, 20_000]) {
        for (const outstanding of [0, 1e8]) isSteady(policy, period, { outstanding });
        if (looksAtSignals) isSteady(policy, period, { outstanding: 0, isWifi: true });
      }
    },
  },
  { says: "each pair without a subflow has a reason", check: explains },
];

/**
 * Holds a policy to {@link LAWS}.
 * @throws LawBroken
 */
export function checkPolicy(policy: Policy, options: CheckOptions = {}): void {
  for (const { check } of LAWS) check(policy, options);
}

function holdsInSimulation(
  policy: Policy,
  { runs = 20, seed = 1, steps = 1000, severalPerPair }: CheckOptions = {},
): void {
  const { watched, law } = asked(policy);
  for (let run = 0; run < runs; run++) inSimulation(watched, law, { seed: seed + run, steps, severalPerPair });
}

/** What a policy broke while it was asked: the engine takes whatever it throws for a plan that it refuses. */
interface Found {
  first: LawBroken | undefined;
}

/** Asks the policy twice each time. */
function asked<M>(policy: Policy<M>): { readonly watched: Policy<M>; readonly law: Found } {
  const law: Found = { first: undefined };
  const watched: Policy<M> = {
    ...policy,
    plan(view: ConnectionView, memory: M, occasion: Occasion, values: Values): ConnectionPlan<M> {
      const before = JSON.stringify(memory);
      const plan = policy.plan(view, memory, occasion, values);
      if (!isSamePlan(policy.plan(view, memory, occasion, values), plan))
        law.first ??= new LawBroken("planning twice gives the same", `it did not at ${occasion.type}`);
      if (JSON.stringify(memory) !== before)
        law.first ??= new LawBroken("a memory is not changed", `it was at ${occasion.type}`);
      return plan;
    },
  };
  return { watched, law };
}

function isSamePlan(a: ConnectionPlan, b: ConnectionPlan): boolean {
  const isSameWish = (index: number): boolean => {
    const [one, other] = [a.subflows[index], b.subflows[index]];
    return (
      one?.keep === other?.keep &&
      JSON.stringify([one?.open, one?.backup]) === JSON.stringify([other?.open, other?.backup])
    );
  };
  const rest = (plan: ConnectionPlan): string =>
    JSON.stringify([plan.announcements, plan.ask, plan.memory, plan.wakeAt]);
  return (
    a.subflows.length === b.subflows.length &&
    a.subflows.every((_wish, index) => isSameWish(index)) &&
    rest(a) === rest(b)
  );
}

function inSimulation(policy: Policy, law: Found, options: Omit<SimulationOptions, "policies" | "faults">): void {
  for (const faults of [NO_FAULTS, FAULTS]) {
    try {
      const { reports } = simulate({ ...options, policies: [policy], faults });
      if (law.first) throw law.first;
      if (reports > 0) throw new LawBroken("no plan is refused", `${reports} were, with seed ${options.seed}`);
    } catch (error) {
      if (error instanceof SimulationError)
        throw new LawBroken("the simulation's laws", error.message, error.transcript);
      throw error;
    }
  }
}

/** In ten seconds in which nothing happens. */
const ASKED_MAX = 100;

function waitsLong(policy: Policy): void {
  let times = 0;
  const counted: Policy = {
    ...policy,
    plan(view, memory, occasion, values) {
      times++;
      return policy.plan(view, memory, occasion, values);
    },
  };
  const stage = new Stage({ policy: counted });
  stage.pass(1000);
  times = 0;
  stage.pass(10_000);
  if (times > ASKED_MAX)
    throw new LawBroken("it is seldom asked when nothing happens", `${times} times in ten seconds`);
}

const HOUR = 3_600_000;

function transcriptOf({ log }: Stage): readonly string[] {
  return log.slice(-40).map(({ at, action }) => `${Math.round(at)} ${JSON.stringify(action)}`);
}

/** A policy may want to be asked again and again; but it has nothing to say then. */
function comesToRest(policy: Policy): void {
  for (const [locals, remotes, subflows] of [
    [1, 1, 8],
    [2, 1, 8],
    [1, 2, 8],
    [3, 3, 8],
    [3, 3, 3],
    [3, 3, 2],
    [2, 4, 1],
  ] as const) {
    const stage = new Stage({ policy, locals, remotes, limits: { subflows } });
    stage.pass(HOUR);
    const { length } = stage.log;
    stage.pass(HOUR);
    if (stage.log.length > length)
      throw new LawBroken(
        "when all has succeeded nothing is left to do",
        `${locals} by ${remotes}, limit ${subflows}`,
        transcriptOf(stage),
      );
  }
}

/** In ten minutes of an address that comes and goes ten times a second: so many commands for each time. */
const COMMANDS_MAX = 12;
const FLAPS = 6000;

function isBoundedUnderFlapping(policy: Policy): void {
  const stage = new Stage({ policy, locals: 3, remotes: 2 });
  stage.pass(1000);
  const { length } = stage.log;
  for (let flap = 0; flap < FLAPS; flap++) {
    if (flap % 2 === 0) stage.removeAddress(1);
    else stage.addAddress(1);
    stage.pass(100);
  }
  const commands = stage.log.length - length;
  if (commands > COMMANDS_MAX * FLAPS)
    throw new LawBroken("bounded commands under flapping", `${commands} for ${FLAPS} changes`, transcriptOf(stage));
}

/** In ten minutes, of each subflow: less than one command in two seconds. The engine's own quarantine takes most of that. */
const STEADY: Millis = 600_000;
const CHANGES_MAX = 240;
const LOOK: Millis = 250;
/** Something new may have to be established first. */
const BACKUP_MAX: Millis = 1000;

/** Of Wi-Fi that is walked away from, and that one stands beside. */
const FAR: Dbm = -95;
const NEAR: Dbm = -40;

interface Turns {
  readonly outstanding: number;
  /** All that is bad of a path is that its Wi-Fi is weak. */
  readonly isWifi?: boolean;
}

/** Three paths that carry data, each of which is bad when it is its turn. */
function isSteady(policy: Policy, period: Millis, { outstanding, isWifi = false }: Turns): void {
  const stage = new Stage({ policy, locals: 3 });
  stage.pass(1000);
  const { length } = stage.log;
  const lost = [0, 0, 0];
  let backupSince: Millis | undefined;
  for (let time = 0; time < STEADY; time += LOOK) {
    stage.pass(LOOK);
    const bad = Math.floor(stage.now / period) % 3;
    if (isWifi) for (const n of [0, 1, 2]) stage.signal(n, n === bad ? FAR : NEAR);
    else lost[bad] = (lost[bad] ?? 0) + LOOK * 300;
    const figures = lost.map((bytesRetransmitted, n) => {
      const path = n === bad && !isWifi ? { rtt: 700, backoff: 2, deliveryRate: 1e4 } : {};
      return [`${n}>0`, { ...path, bytesRetransmitted }] as const;
    });
    stage.measure(Object.fromEntries(figures), false, outstanding);
    backupSince = stage.active === "" ? (backupSince ?? stage.now) : undefined;
    if (backupSince !== undefined && stage.now - backupSince >= BACKUP_MAX)
      throw new LawBroken("one subflow is no backup", `for ${BACKUP_MAX} ms all were`, transcriptOf(stage));
  }
  const commands = stage.log.length - length;
  if (commands > CHANGES_MAX * Math.max(3, stage.subflows.split(" ").length))
    throw new LawBroken(
      "bounded commands where paths are good and bad by turns",
      `${commands} in ${STEADY} ms, turns of ${period} ms`,
      transcriptOf(stage),
    );
}

function explains(policy: Policy): void {
  // A policy that does things once explains endpoints, not pairs.
  if (policy.tries === "once") return;
  const stage = new Stage({ policy, locals: 3, remotes: 3, limits: { subflows: 1 } });
  stage.pass(1000);
  const why = stage.engine.why(1, stage.now);
  const told = new Set(why?.leftOut.map(({ address, remote }) => `${address}>${remote}`));
  for (const l of [0, 1, 2])
    for (const r of [0, 1, 2]) {
      const isThere = stage.subflows.split(" ").includes(`${l}>${r}`);
      const isTold = told.has(`${stage.local(l)}>${stage.remote(r)}`);
      if (isThere === isTold) throw new LawBroken("each absent pair has a reason", `${l}>${r}`, transcriptOf(stage));
    }
}
