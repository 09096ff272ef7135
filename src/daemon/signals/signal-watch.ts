import { type Engine, type EngineEvent, isCrossing } from "../../engine/index.ts";
import { Nl80211 } from "../../netlink/index.ts";
import { type Address, type Dbm, type Millis, SubflowError, unmap } from "../../types/index.ts";
import type { WifiInterface } from "../../wire/index.ts";
import { Turns } from "../tuning/turns.ts";

/** From one look to the next: a radio's average moves no faster. */
const PACE: Millis = 1000;
/** What changes by less is told only where it crosses a bound: a radio's readings go up and down by themselves. */
const STEP: Dbm = 2;

export interface SignalWatchOptions {
  readonly engine: Pick<Engine, "attentiveCount" | "signals">;
  readonly handle: (event: EngineEvent) => void;
  readonly now: () => Millis;
  /** For tests. */
  readonly open?: (() => Pick<Nl80211, "interfaces" | "signalOf" | typeof Symbol.dispose> | undefined) | undefined;
}

/**
 * Reads how strong Wi-Fi interfaces receive, once a second for all connections: only while the policy of one looks at it, and an interface with
 * an address is one of a radio. A kernel without Wi-Fi is asked once, and again when interfaces change; what cannot be read is not known.
 */
export class SignalWatch implements Disposable {
  readonly #options: SignalWatchOptions;
  #names: ReadonlyMap<Address, string> = new Map();
  /** undefined: to be listed anew. */
  #radios: readonly WifiInterface[] | undefined;
  #nl80211: ReturnType<NonNullable<SignalWatchOptions["open"]>>;
  readonly #turns = new Turns(() => this.#turn(), PACE);
  #readAt: Millis = Number.NEGATIVE_INFINITY;
  /** What was told of each interface. */
  #told: ReadonlyMap<string, Dbm> = new Map();
  #text = "";

  constructor(options: SignalWatchOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    this.#turns[Symbol.dispose]();
    this.#close();
  }

  /** The interfaces by the addresses that there are. */
  setInterfaces(names: ReadonlyMap<Address, string>): void {
    this.#names = names;
    this.#radios = undefined;
    this.wake();
  }

  /** To be called after events: somebody may look at signals now. */
  wake(): void {
    if (this.#turns.isRunning || !this.#isWanted) return;
    this.#turns.begin(Math.max(0, this.#readAt + PACE - this.#options.now()));
  }

  get #isWanted(): boolean {
    return this.#options.engine.attentiveCount > 0 && this.#radios?.length !== 0;
  }

  /** @returns when the next is due; undefined: nobody looks, or there is no radio */
  #turn(): Millis | undefined {
    const { engine, now } = this.#options;
    this.#readAt = now();
    const bounds = [...engine.signals];
    // What was read for those who are gone is old when somebody else looks at it.
    const read = bounds.length > 0 ? this.#read() : new Map<string, Dbm>();
    const told = new Map<string, Dbm>();
    for (const [name, signal] of read) {
      const before = this.#told.get(name);
      const isOther = before === undefined || Math.abs(signal - before) >= STEP || isCrossing(before, signal, bounds);
      told.set(name, isOther ? signal : before);
    }
    this.#told = told;
    this.#tell();
    return this.#isWanted ? PACE : undefined;
  }

  /** Interfaces whose signal is known, by name. */
  #read(): ReadonlyMap<string, Dbm> {
    const signals = new Map<string, Dbm>();
    this.#radios ??= this.#list();
    for (const radio of this.#radios) {
      const signal = unlessRefused(() => this.#nl80211?.signalOf(radio));
      if (signal !== undefined) signals.set(radio.name, signal);
    }
    return signals;
  }

  #list(): readonly WifiInterface[] {
    const named = new Set(this.#names.values());
    this.#nl80211 ??= unlessRefused(() => (this.#options.open ?? Nl80211.open)());
    const radios = unlessRefused(() => this.#nl80211?.interfaces()) ?? [];
    const used = radios.filter(({ name }) => named.has(name));
    // Modules come and go: the family may have another number by then.
    if (used.length === 0) this.#close();
    return used;
  }

  #close(): void {
    this.#nl80211?.[Symbol.dispose]();
    this.#nl80211 = undefined;
  }

  #tell(): void {
    const signals = new Map<Address, Dbm>();
    for (const [address, name] of this.#names) {
      const signal = this.#told.get(name);
      if (signal !== undefined) signals.set(unmap(address), signal);
    }
    const text = [...signals].join(" ");
    if (text === this.#text) return;
    this.#text = text;
    this.#options.handle({ type: "host.signals", signals });
  }
}

/** What the kernel will not say, or not just now, is not known; nor what a driver says in its own way, which is no reason to end a daemon. */
function unlessRefused<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if (error instanceof SubflowError) return undefined;
    throw error;
  }
}
