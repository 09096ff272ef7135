import { ask, type Change, changes } from "../../client/index.ts";
import type { ConnectionExplanation, LeftOut } from "../../engine/index.ts";
import { MptcpPm } from "../../netlink/index.ts";
import {
  type Happening,
  type SocketAddress,
  SubflowError,
  type Token,
  type WatchedConnection,
  type WatchedSubflow,
} from "../../types/index.ts";
import { Interfaces } from "../interfaces.ts";
import { leftOutByKernel } from "../why-kernel.ts";
import { History } from "./history.ts";
import { KernelView } from "./kernel-view.ts";
import { type Explained, subflowKey, type Timed, type World } from "./state.ts";

/** Happenings kept of a connection, and connections of which some are kept. */
const TIMELINE_MAX = 100;
const TIMELINES_MAX = 20_000;
/** Names of interfaces, and reasons, are read anew after so long. Milliseconds. */
const FRESH = 2000;
/** A dump of everything takes at most this part of the time. */
const DUMP_SHARE = 5;

const NO_DAEMON =
  "No daemon answers here: there is no policy, no event and no reason; shown is what the kernel's dumps show.";
const NOT_ALL = "Only connections of your own are shown: be root, or of the daemon's group, for all.";

/** Where `top` has what it shows from: the daemon of the namespace, and where there is none the kernel. */
export class TopSource implements Disposable {
  readonly connections = new Map<Token, WatchedConnection>();
  readonly #netns: string | undefined;
  readonly #pace: number;
  readonly #stop = new AbortController();
  readonly #history = new History();
  readonly #rtts = new History();
  readonly #timelines = new Map<Token, Timed[]>();
  readonly #kernel: KernelView;
  readonly #explained = new Map<Token, { readonly at: number; readonly explained: Explained | undefined }>();
  #timer: NodeJS.Timeout | undefined;
  #interfaces: { readonly at: number; readonly read: Interfaces } | undefined;
  #hasDaemon = false;
  #who = "";
  #missing: readonly string[] = [NO_DAEMON];
  /** Our clock minus the daemon's. */
  #offset: number | undefined;
  #sampledAt = 0;
  #onFailure: (error: unknown) => void = () => undefined;
  /** Something has changed; whoever shows it decides when. */
  onChange: () => void = () => undefined;

  constructor(netns: string | undefined, pace: number) {
    this.#netns = netns;
    this.#pace = pace;
    this.#kernel = new KernelView(netns);
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  /** Begins. Resolves when there is something to be shown; with thousands of connections not all of them yet, unless `isWhole`. */
  async start(onFailure: (error: unknown) => void, isWhole = false): Promise<void> {
    this.#onFailure = onFailure;
    await new Promise<void>((resolve) => void this.#follow(resolve, isWhole).catch(onFailure));
  }

  /** Everything that is known now. */
  world(now: number): World {
    this.#sample(now);
    return {
      connections: this.connections,
      timeline: (token) => this.#timelines.get(token) ?? [],
      sparkline: (key, width) => this.#history.sparkline(key, width),
      rates: (key) => this.#history.values(key),
      rtts: (key) => this.#rtts.values(key),
      interfaceOf: (local, interfaceIndex) => this.#interfaceOf(local, interfaceIndex, now),
      why: (token) => this.#why(token, now),
      who: this.#who,
      missing: this.#missing,
      now,
    };
  }

  async #follow(onFirst: () => void, isWhole: boolean): Promise<void> {
    try {
      for await (const change of changes({ netns: this.#netns, pace: this.#pace, signal: this.#stop.signal })) {
        await this.#take(change);
        this.onChange();
        const isFirst = change.type === "connection" && !isWhole;
        if (isFirst || change.type === "complete" || change.type === "disconnected") onFirst();
      }
    } catch (error) {
      // Another version, or nothing for us: the kernel's dumps are there for everybody.
      if (!(error instanceof SubflowError)) throw error;
      this.#withoutDaemon([`${NO_DAEMON} (${error.message})`]);
      onFirst();
    }
  }

  async #take(change: Change): Promise<void> {
    switch (change.type) {
      case "connected":
        return await this.#withDaemon(change.isLimited);
      case "disconnected":
        return this.#withoutDaemon([NO_DAEMON]);
      case "connection":
        return void this.connections.set(change.connection.token, change.connection);
      case "gone":
        return void this.connections.delete(change.token);
      case "complete":
        this.#offset = performance.now() - change.at;
        return;
      case "event":
        return this.#note(change.event);
      case "decision":
        return this.#note(change.decision);
      case "lost":
        return;
    }
  }

  async #withDaemon(isLimited: boolean): Promise<void> {
    clearTimeout(this.#timer);
    this.#hasDaemon = true;
    this.#offset = undefined;
    this.connections.clear();
    this.#missing = isLimited ? [NOT_ALL] : [];
    const { pathManager, policy } = await ask("hello", {}, { netns: this.#netns, signal: this.#stop.signal });
    this.#who = `${pathManager} path manager${policy === "" ? "" : `, ${policy}`}`;
  }

  #withoutDaemon(missing: readonly string[]): void {
    this.#hasDaemon = false;
    this.#who = "";
    this.#missing = missing;
    if (!this.#stop.signal.aborted) this.#readKernel();
  }

  #readKernel(): void {
    clearTimeout(this.#timer);
    const began = performance.now();
    const all = this.#kernel.read(began);
    this.connections.clear();
    for (const each of all) this.connections.set(each.token, each);
    this.onChange();
    const took = performance.now() - began;
    this.#timer = setTimeout(() => this.#readAgain(), Math.max(this.#pace, DUMP_SHARE * took));
  }

  #readAgain(): void {
    try {
      this.#readKernel();
    } catch (error) {
      this.#onFailure(error);
    }
  }

  #note(happening: Happening): void {
    if (happening.token === undefined) return;
    const at = this.#offset === undefined ? performance.now() : happening.at + this.#offset;
    const known = this.#timelines.get(happening.token) ?? [];
    this.#timelines.delete(happening.token);
    this.#timelines.set(happening.token, [...known.slice(1 - TIMELINE_MAX), { happening, at }]);
    const [oldest] = this.#timelines.keys();
    if (this.#timelines.size > TIMELINES_MAX && oldest !== undefined) this.#timelines.delete(oldest);
  }

  /** One value a pace of everything that there is. */
  #sample(now: number): void {
    if (now - this.#sampledAt < this.#pace) return;
    this.#sampledAt = now;
    const there = new Set<string>();
    const push = (key: string, { sendRate, receiveRate }: Pick<WatchedSubflow, "sendRate" | "receiveRate">): void => {
      there.add(key);
      this.#history.push(key, sendRate + receiveRate);
    };
    for (const connection of this.connections.values()) {
      push(`${connection.token}`, connection);
      for (const subflow of connection.subflows) {
        const key = subflowKey(connection.token, subflow);
        push(key, subflow);
        this.#rtts.push(key, subflow.rtt);
      }
    }
    for (const history of [this.#history, this.#rtts]) {
      if (history.size > 2 * there.size) history.keep((key) => there.has(key));
    }
  }

  #interfaceOf({ address }: SocketAddress, interfaceIndex: number | undefined, now: number): string | undefined {
    if (!this.#interfaces || now - this.#interfaces.at > FRESH) {
      const read = new Interfaces({ netns: this.#netns });
      try {
        read.names();
        this.#interfaces = { at: now, read };
      } catch (error) {
        // The network changed while it was read: for a moment the names from before do.
        if (!(error instanceof SubflowError)) throw error;
      }
    }
    if (!this.#interfaces) return undefined;
    const { read } = this.#interfaces;
    const index = interfaceIndex || read.holder(address);
    return index === undefined ? undefined : read.name(index);
  }

  /** Asked for in the background, again and again while somebody looks. */
  #why(token: Token, now: number): Explained | undefined {
    const known = this.#explained.get(token);
    if (known && now - known.at < FRESH) return known.explained;
    this.#explained.clear();
    this.#explained.set(token, { at: now, explained: known?.explained });
    void this.#explain(token)
      .catch((error: unknown) => (error instanceof Error ? error.message : String(error)))
      .then((explained) => this.#explained.has(token) && this.#explained.set(token, { at: now, explained }));
    return known?.explained;
  }

  async #explain(token: Token): Promise<Explained> {
    const connection = this.connections.get(token);
    if (!this.#hasDaemon || connection?.pathManager === "kernel") return this.#explainByKernel(token);
    const [answer] = await ask("why", { tokens: [token] }, { netns: this.#netns, signal: this.#stop.signal });
    const found = answer as ConnectionExplanation | null | undefined;
    return found ? found.leftOut.map(reasonOf) : "The daemon does not look after this connection.";
  }

  #explainByKernel(token: Token): Explained {
    const pm = MptcpPm.open({ netns: this.#netns });
    try {
      const connection = pm.connection(token);
      if (!connection) return "It is over.";
      if (connection.pathManager === "userspace")
        return "It belongs to a userspace path manager, and no Subflow daemon answers here.";
      const sides = { connection, endpoints: pm.endpoints(), limits: pm.limits() };
      return leftOutByKernel(sides).map(reasonOf);
    } finally {
      pm.close();
    }
  }
}

function reasonOf({ what, address, remote, reason }: LeftOut) {
  return { what: `${what} ${address}${remote === undefined ? "" : ` → ${remote}`}`, reason };
}
