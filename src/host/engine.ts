import { type Address, assert, type Limits, type Millis } from "../types/index.ts";
import { Absences } from "./absences.ts";
import type { HostAction, HostChange, HostNote } from "./actions.ts";
import { Concern } from "./concern.ts";
import type { HostConfig } from "./config.ts";
import { leave, putBack, type Restored } from "./ending.ts";
import type { HostFact, Network, RestoreFact, Table } from "./fact.ts";
import { type Capacity, endpointKey, type HostFacts } from "./facts.ts";
import { LastPaths } from "./last-paths.ts";
import type { PathLosses } from "./losses.ts";
import { LossyPaths } from "./lossy-paths.ts";
import { MainRoutes } from "./main-routes.ts";
import { isFailure, type Memory } from "./memory.ts";
import { type HostPlan, planHost } from "./plan.ts";
import { reconcileHost } from "./reconcile.ts";
import { Recovery, type Renewal } from "./recovery.ts";
import { Removals } from "./removals.ts";
import { Rivals } from "./rivals.ts";
import { Settling } from "./settling.ts";
import type { Step } from "./step.ts";
import { Uplink } from "./uplink.ts";

/** Neither the table nor sysctls tell of changes: they are read anew so often. */
export const AUDIT_INTERVAL: Millis = 2000;

export interface HostEngineOptions {
  readonly memory: Memory;
  readonly capacity: Capacity;
  /** Deleting an endpoint closes every subflow from it, the last of a connection too: the kernel's table, not the daemon's. */
  readonly closesSubflows: boolean;
  /** Lost subflows come back by endpoints that are made anew; default: yes. A policy that tries again needs none of it. */
  readonly recovers?: (() => boolean) | undefined;
}

const NONE: readonly HostAction[] = [];
const IDLE: Step = { type: "idle" };
const READ_NETWORK: HostAction = { type: "network.read" };
const READ_TABLE: HostAction = { type: "table.read" };
const READ_CONNECTIONS: HostAction = { type: "connections.read" };
const FORGET_BLACKHOLE: HostAction = { type: "blackhole.forget" };
const SAVE: HostAction = { type: "state.save" };

/**
 * Keeps a host as its plan says: facts in, actions out. It looks at nothing, waits for nothing and asks no clock: what it wants to
 * know it asks for by an action, and what it waits for has a time, {@link nextTick}.
 */
export class HostEngine {
  readonly #options: HostEngineOptions;
  readonly #lastPaths: LastPaths | undefined;
  /** In the daemon's table the engine of connections waits by itself. */
  readonly #absences: Absences | undefined;
  /** There the engine of connections knows which of them lose what. */
  readonly #lossy: LossyPaths | undefined;
  readonly #recovery = new Recovery();
  readonly #recovers: () => boolean;
  readonly #removals = new Removals();
  readonly #rivals = new Rivals();
  readonly #settling = new Settling();
  readonly #uplink = new Uplink();
  #step: Step = IDLE;
  #config: HostConfig | undefined;
  #network: Network | undefined;
  /** As we left it; undefined: to be read. */
  #table: Table | undefined;
  #plan: HostPlan | undefined;
  /** As planned when they were last set. */
  #limits: Limits | undefined;
  readonly #concern = new Concern();
  #auditAt: Millis | undefined;
  /** What is being corrected came as a change of the network: more may follow. */
  #isByChange = false;
  #isUnsaved = false;
  #findsRivals = false;
  /** Somebody took an endpoint of ours away: it is said who may have, since whoever deletes by number (mptcpd) may have none in the table. */
  #isRobbed = false;
  #corrections = 0;
  #restored: Restored | undefined;

  constructor(options: HostEngineOptions) {
    this.#options = options;
    if (options.closesSubflows) this.#lastPaths = new LastPaths();
    if (options.closesSubflows) this.#absences = new Absences();
    if (options.closesSubflows) this.#lossy = new LossyPaths();
    this.#recovers = options.recovers ?? (() => true);
  }

  /** The plan in force, with what it leaves out. */
  get plan(): HostPlan | undefined {
    return this.#plan;
  }

  /** What is not as it should be for now, a sentence each: endpoints that connections live by and should go, and those that lose much. */
  get troubles(): readonly string[] {
    return [...(this.#lastPaths?.waiting ?? []), ...(this.#lossy?.troubles ?? [])];
  }

  /** Another number after each correction that came to its end. */
  get corrections(): number {
    return this.#corrections;
  }

  /** What became of the end; undefined: it is not over. */
  get restored(): Restored | undefined {
    return this.#restored;
  }

  /** When a `tick` is due; undefined: never. */
  get nextTick(): Millis | undefined {
    const parts = [this.#settling, this.#lastPaths, this.#absences, this.#recovery, this.#lossy];
    const due = [this.#auditAt, ...parts.map((part) => part?.nextTick)];
    return due.reduce((least, each) => (each !== undefined && !(least !== undefined && least < each) ? each : least));
  }

  /** What the next plan would be made from; undefined: the network or the table is not known at the moment. */
  get facts(): HostFacts | undefined {
    if (!this.#network || !this.#table) return undefined;
    return { ...this.#network, ...this.#table, capacity: this.#options.capacity };
  }

  /** Is anything of ours there? What is lost elsewhere is in no haste. */
  isOurs(interfaceIndex: number, address?: Address): boolean {
    return this.#concern.has(interfaceIndex, address);
  }

  /** Does it want to know what connections go through? */
  get hearsEvents(): boolean {
    return this.#lastPaths !== undefined || this.#recovers();
  }

  /** Does it want to know how much paths lose? Also without a doubt where something is done about it. */
  get wantsLosses(): "always" | "in doubt" | "never" {
    if (!this.#lossy?.mayChoose) return "never";
    return this.#lossy.isHolding ? "always" : "in doubt";
  }

  /** What would be done first with these facts, without doing it. */
  foresee(facts: HostFacts): readonly HostChange[] {
    const config = this.#config;
    if (!config) return [];
    const { memory } = this.#options;
    const plan = planHost(facts, config, memory);
    return reconcileHost(facts, this.#withoutOldLimits(this.#lossy?.shape(plan) ?? plan), config, memory);
  }

  handle(fact: HostFact, now: Millis): readonly HostAction[] {
    switch (fact.type) {
      case "configured":
        return this.#onConfig(fact.config, now);
      case "network":
        this.#network = fact.network;
        return this.#onFacts(now);
      case "network.changed":
        if (!this.#settling.serves(fact.haste)) return NONE;
        return this.#correct(true);
      case "table.doubted":
        this.#table = undefined;
        return NONE;
      case "compare":
        return this.#compare(false);
      case "endpoint.foreseen":
        this.#table = undefined;
        this.#isUnsaved = true;
        this.#options.memory.owned.add(endpointKey(fact.endpoint));
        return NONE;
      case "events":
        this.#lastPaths?.onEvents(now);
        if (this.#recovers()) for (const event of fact.events) this.#recovery.onEvent(event, now);
        return NONE;
      case "tick":
        return this.#onTick(now);
      case "thought":
        this.#settling.onCost(fact.took, now);
        return NONE;
      case "table":
        this.#table = { endpoints: fact.endpoints, limits: fact.limits };
        return this.#onFacts(now);
      case "connections":
        this.#lastPaths?.onConnections(fact.connections, fact.cost, now);
        return this.#onConnections(fact.connections, now);
      case "losses":
        return this.#onLosses(fact.paths, now);
      case "rivals":
        return this.#rivals.note(fact.rivals);
      case "done":
        return this.#onDone(fact.errnos);
      case "ending":
        this.#config = undefined;
        this.#table = undefined;
        return NONE;
      case "restore":
        this.#step = { type: "restore.facts", fact };
        return this.#askForFacts();
    }
  }

  #onConfig(config: HostConfig, now: Millis): readonly HostAction[] {
    this.#config = config;
    this.#limits = undefined;
    this.#auditAt ??= now + AUDIT_INTERVAL;
    this.#options.memory.yielded.clear();
    return this.#compare(false);
  }

  #onTick(now: Millis): readonly HostAction[] {
    const settled = this.#settling.end(now);
    const audits = this.#auditAt !== undefined && this.#auditAt <= now;
    const looks = this.#lastPaths?.onTick(now);
    const retries = this.#recovery.onTick(now);
    const isGone = this.#absences?.onTick(now);
    const isFree = this.#lossy?.onTick(now);
    if (audits) {
      this.#auditAt = now + AUDIT_INTERVAL;
      this.#findsRivals = true;
    }
    if (!settled && !audits && !looks && !retries && !isGone && !isFree) return NONE;
    const compared = this.#compare(settled?.again ?? false);
    return audits ? [{ type: "sysctls.forget" }, ...compared] : compared;
  }

  #onLosses(paths: readonly PathLosses[], now: Millis): readonly HostAction[] {
    const { isNew = false, notes = [] } = this.#lossy?.onLosses(paths, now) ?? {};
    return isNew ? [...notes, ...this.#compare(false)] : notes;
  }

  /** With a table that is read now. */
  #compare(isByChange: boolean): readonly HostAction[] {
    this.#table = undefined;
    return this.#correct(isByChange);
  }

  /** The table is what we left it at, most likely: it is read when there is time for it, not before the first deed. */
  #correct(isByChange: boolean): readonly HostAction[] {
    this.#step = IDLE;
    this.#isByChange = isByChange;
    if (!this.#config) return NONE;
    this.#step = { type: "facts" };
    return this.#askForFacts();
  }

  #askForFacts(): readonly HostAction[] {
    this.#network = undefined;
    return this.#table ? [READ_NETWORK] : [READ_NETWORK, READ_TABLE];
  }

  /** A question was answered; goes on when the last of them is. */
  #onFacts(now: Millis): readonly HostAction[] {
    const [step, facts, config] = [this.#step, this.facts, this.#config];
    if (!facts) return NONE;
    if (step.type === "restore.facts") return this.#restore(step.fact, facts);
    if (step.type === "left") return this.#finish(step, facts, now);
    return step.type === "facts" && config ? this.#think(facts, config, now) : NONE;
  }

  #think(facts: HostFacts, config: HostConfig, now: Millis): readonly HostAction[] {
    const { memory } = this.#options;
    this.#settling.onPlan();
    const { gone, isNew } = memory.look(facts.endpoints);
    const { notes, yielded } = this.#removals.note(gone, now);
    for (const key of yielded) memory.yielded.add(key);
    this.#isRobbed ||= gone.length > 0;
    const main = new MainRoutes(facts.routes);
    const plan = planHost(facts, config, memory, main);
    this.#lossy?.onPlan(plan, memory.owned);
    this.#plan = this.#lossy?.shape(plan) ?? plan;
    const all = reconcileHost(facts, this.#withoutOldLimits(this.#plan), config, memory);
    const wanted = this.#absences?.hold(all, facts, now) ?? all;
    const moved = config.automatic && this.#uplink.hasMoved(main);
    const before: HostAction[] = [...(isNew ? [SAVE] : NONE), ...notes, ...(moved ? [FORGET_BLACKHOLE] : NONE)];
    this.#step = { type: "connections", facts, wanted };
    if (this.#recovery.isTrying || this.#lastPaths?.asks(wanted, now)) return [...before, READ_CONNECTIONS];
    return [...before, ...this.#act(facts, wanted, [], now)];
  }

  #onConnections(connections: Parameters<Recovery["retry"]>[1], now: Millis): readonly HostAction[] {
    if (this.#step.type !== "connections") return NONE;
    const { facts, wanted } = this.#step;
    if (!this.#recovery.isTrying) return this.#act(facts, wanted, [], now);
    const { owned } = this.#options.memory;
    const isOwned = (key: string): boolean => owned.has(key);
    const { renewals, notes } = this.#recovery.retry(facts.endpoints, connections, { wanted, isOwned, now });
    return [...notes, ...this.#act(facts, wanted, renewals, now)];
  }

  #act(
    facts: HostFacts,
    wanted: readonly HostChange[],
    renewals: readonly Renewal[],
    now: Millis,
  ): readonly HostAction[] {
    const { permitted, notes } = this.#lastPaths?.permit(wanted, facts) ?? { permitted: wanted, notes: [] };
    const changes = [...permitted, ...renewals.flatMap((renewal) => renewal.changes)];
    if (changes.length === 0) {
      const left = { type: "left", limitsFailed: false, wroteSysctl: false } as const;
      return [...notes, ...this.#finish(left, facts, now)];
    }
    this.#step = { type: "done", planned: permitted, renewals };
    // What was there before us is written down before it is changed. That an endpoint is ours may be written after: the next
    // life knows it by its likeness (HostMemory.afterCrash), and every microsecond until it is there counts.
    const isNew = this.#options.memory.rememberOriginals(changes, facts.limits);
    return isNew ? [...notes, SAVE, ...changes] : [...notes, ...changes];
  }

  #onDone(errnos: readonly number[]): readonly HostAction[] {
    const step = this.#step;
    if (step.type === "restore.done") return this.#onRestored(step, errnos);
    if (step.type !== "done") return NONE;
    const changes = [...step.planned, ...step.renewals.flatMap((renewal) => renewal.changes)];
    assert(errnos.length === changes.length, "each change of a host is answered");
    const isNew = this.#options.memory.rememberOwnership(changes, errnos);
    const limitsFailed = changes.some(({ type }, index) => type === "limits.set" && isFailure(errnos[index]!));
    this.#step = { type: "left", limitsFailed, wroteSysctl: changes.some(({ type }) => type === "sysctl.set") };
    this.#table = undefined;
    const notes = saidOf(step.renewals, errnos.slice(step.planned.length));
    return [...(isNew ? [SAVE] : NONE), ...notes, READ_TABLE];
  }

  #finish(
    { limitsFailed, wroteSysctl }: Extract<Step, { readonly type: "left" }>,
    { endpoints }: Table,
    now: Millis,
  ): readonly HostAction[] {
    const { memory } = this.#options;
    this.#step = IDLE;
    this.#corrections++;
    // What was refused is planned anew.
    if (!limitsFailed) this.#limits = this.#plan?.limits;
    this.#concern.become([...endpoints, ...(this.#plan?.endpoints ?? [])]);
    memory.afterCrash = false;
    const saves = this.#isUnsaved;
    this.#isUnsaved = false;
    if (this.#isByChange) this.#settling.begin(now);
    const actions: HostAction[] = saves ? [SAVE] : [];
    // What was written is known; who remembers sysctls would say what was before.
    if (wroteSysctl) actions.push({ type: "sysctls.forget" });
    if (this.#isRobbed || (this.#findsRivals && memory.foreign?.size)) actions.push({ type: "rivals.find" });
    this.#findsRivals = false;
    this.#isRobbed = false;
    return actions;
  }

  #restore(fact: RestoreFact, facts: HostFacts): readonly HostAction[] {
    const { memory } = this.#options;
    const { changes: back, isNew } = putBack(fact, facts, memory);
    const changes = [...(this.#lossy?.undone(facts.endpoints, memory.owned) ?? []), ...back];
    const step = { type: "restore.done", fact, changes } as const;
    this.#step = step;
    return [...(isNew ? [SAVE] : NONE), ...(changes.length > 0 ? changes : this.#onRestored(step, []))];
  }

  #onRestored(
    { fact, changes }: Extract<Step, { readonly type: "restore.done" }>,
    errnos: readonly number[],
  ): readonly HostAction[] {
    this.#step = IDLE;
    const { restored, isNew, notes } = leave(fact, changes, errnos, this.#options.memory);
    this.#restored = restored;
    return [...(isNew ? [SAVE] : NONE), ...notes];
  }

  /** Limits are set when what is planned changes: what an administrator sets in between is meant, and stays until then. */
  #withoutOldLimits(plan: HostPlan): HostPlan {
    const old = this.#limits;
    const same = plan.limits?.subflows === old?.subflows && plan.limits?.addAddrAccepted === old?.addAddrAccepted;
    return same ? { ...plan, limits: undefined } : plan;
  }
}

/** What is said of the renewals that came to something. */
function saidOf(renewals: readonly Renewal[], errnos: readonly number[]): HostNote[] {
  const notes: HostNote[] = [];
  let from = 0;
  for (const { changes, note } of renewals) {
    const to = from + changes.length;
    if (!errnos.slice(from, to).some(isFailure)) notes.push(note);
    from = to;
  }
  return notes;
}
