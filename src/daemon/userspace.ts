import {
  type Action,
  type Command,
  type ConnectionExplanation,
  Engine,
  type EngineEvent,
  type EngineSnapshot,
} from "../engine/index.ts";
import type { EndpointChange, MptcpPm, NewEndpoint, Rtnl } from "../netlink/index.ts";
import { policies } from "../policies/index.ts";
import {
  type Address,
  assert,
  type Endpoint,
  type Limits,
  type Millis,
  type MptcpEvent,
  type Token,
} from "../types/index.ts";
import { Driver } from "./driver.ts";
import type { EndpointPort, Refusal } from "./host/endpoint-port.ts";
import { KernelPort } from "./kernel-port.ts";
import { PortListeners } from "./listeners.ts";
import type { Logger } from "./logger.ts";
import { observeAll } from "./observe.ts";
import { describe, tokenOf } from "./trace.ts";
import { translateBatch } from "./translate.ts";
import { rehearse, warmUp } from "./warm-up.ts";

/** Multicast has no sequence numbers: a slow comparison with the kernel finds what no overrun told of. */
const AUDIT_INTERVAL: Millis = 60_000;
/** Overruns come in rows; after the first one the next resync waits this long, so that the daemon does not only dump. */
const RESYNC_GAP: Millis = 500;

export interface UserspaceOptions {
  readonly pm: MptcpPm;
  readonly rtnl: Rtnl;
  readonly log: Logger;
  readonly now: () => Millis;
}

/** The userspace path manager of a namespace: the engine, fed by the kernel, its actions carried out. Has the endpoint table. */
export class UserspacePathManager implements EndpointPort, Disposable {
  readonly #options: UserspaceOptions;
  readonly #listeners: PortListeners;
  readonly #engine = new Engine({ policies });
  readonly #driver: Driver;
  readonly #audit: NodeJS.Timeout;
  readonly #answers = new Map<number, Refusal>();
  #requests = 0;
  #resync: NodeJS.Timeout | undefined;
  #lastResync = Number.NEGATIVE_INFINITY;

  constructor(options: UserspaceOptions) {
    this.#options = options;
    const { pm, rtnl, log, now } = options;
    this.#listeners = new PortListeners(pm);
    const port = new KernelPort({
      pm,
      rtnl,
      listeners: this.#listeners,
      execute: (requests) => pm.client.executeAll(requests),
      onAnswer: (request, errno, message) => this.#answers.set(request, { errno, message }),
      onReport: ({ token, policy, reason }) => log.error(tokenOf({ token }), `policy ${policy} fails: ${reason}`),
    });
    this.#driver = new Driver(this.#engine, {
      run: (actions) => port.run(actions),
      now,
      trace: log.isLevelEnabled("debug") ? ({ event, actions }) => this.#trace(event, actions) : undefined,
    });
    this.#audit = setInterval(() => this.adopt(), AUDIT_INTERVAL);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#audit);
    clearTimeout(this.#resync);
    this.#driver[Symbol.dispose]();
    this.#listeners[Symbol.dispose]();
  }

  /** What the kernel told in one wake-up. */
  onEvents(events: readonly MptcpEvent[]): void {
    this.#driver.handleAll(translateBatch(events));
  }

  /** The kernel dropped events: everything is read anew, soon. */
  onOverrun(): void {
    if (this.#resync) return;
    const { now, log } = this.#options;
    const wait = Math.max(0, this.#lastResync + RESYNC_GAP - now());
    this.#resync = setTimeout(() => {
      this.#resync = undefined;
      this.#lastResync = now();
      log.warn("events were lost; reading all connections anew");
      this.#driver.handle({ type: "kernel.overrun" });
    }, wait);
  }

  /** Reads the connections that exist, at start and in the audit. */
  adopt(): void {
    this.#driver.handle({ type: "kernel.snapshot", connections: observeAll(this.#options.pm) });
  }

  /** To be called when all else at start is done: what runs afterwards for the first time makes V8 compile again. */
  warmUp(): void {
    const { pm, rtnl, now } = this.#options;
    warmUp(pm, rtnl, now);
  }

  /** Touches the memory that the next connection will need. */
  refresh(): void {
    const { pm, rtnl, now } = this.#options;
    rehearse(pm, rtnl, now, 1);
  }

  usePolicy(policy: string): void {
    this.#driver.handle({ type: "config.changed", policy });
  }

  endpoints(): readonly Endpoint[] {
    return this.#engine.endpoints();
  }

  limits(): Limits {
    return this.#engine.limits();
  }

  add(endpoint: NewEndpoint): Refusal | undefined {
    return this.command({ type: "endpoint.add", ...endpoint });
  }

  remove(which: { readonly id: number; readonly address?: Address }): Refusal | undefined {
    return this.command({ type: "endpoint.delete", ...which });
  }

  change(change: EndpointChange): Refusal | undefined {
    return this.command({ type: "endpoint.change", ...change });
  }

  setLimits(limits: Limits): Refusal | undefined {
    return this.command({ type: "limits.set", ...limits });
  }

  /** Carries out an administrator's command; every answer is there when this returns. */
  command(command: Command): Refusal | undefined {
    const request = ++this.#requests;
    this.#driver.handle({ type: "command.received", request, command });
    const answer = this.#answers.get(request);
    assert(answer, "the engine answers every command");
    this.#answers.clear();
    return answer.errno === 0 ? undefined : answer;
  }

  why(token: Token): ConnectionExplanation | undefined {
    return this.#engine.why(token);
  }

  connection(token: Token): unknown {
    return this.#engine.connection(token);
  }

  snapshot(): EngineSnapshot {
    return this.#engine.snapshot();
  }

  #trace(event: EngineEvent, actions: readonly Action[]): void {
    const { log } = this.#options;
    log.debug({ event: event.type, ...tokenOf(event) }, describe(event));
    for (const action of actions) log.debug({ action: action.type, ...tokenOf(action) }, describe(action));
  }
}
