import { createHmac, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Action, ConfigChanged, ConnectionSnapshot, EngineEvent } from "../../engine/index.ts";
import type { HostAction, HostConfig, HostFact } from "../../host/index.ts";
import {
  AddressMask,
  type Beginning,
  type EngineBeginning,
  type Entry,
  type EventEntry,
  type FactEntry,
  type HostBeginning,
  type OwnerEntry,
  RecordingWriter,
  type SysctlRead,
} from "../../recording/index.ts";
import type { BlackBoxUse, Millis, Token } from "../../types/index.ts";
import type { Logger } from "../logger.ts";
import { translate } from "../translate.ts";
import { Ring } from "./ring.ts";
import { type AskOwner, Whose } from "./whose.ts";

/** What was noted is encoded so much later: a turn that has something to do is over by then. */
const REST: Millis = 200;
/** Of one turn of the loop: an event that comes meanwhile waits no longer. */
const SLICE: Millis = 1;
/** The clock is asked again after so many. */
const SLICE_STEP = 16;
/** Entries that wait to be encoded: some MB, and a second of the worst storm. */
const QUEUE_MAX = 20_000;
/** A frame is written when it has so many bytes, or nothing more waits. */
const FRAME_SIZE = 64 * 1024;
/** After a disk refused, it is tried again. */
const RETRY: Millis = 10_000;
/** The end of a daemon waits for its disk no longer. */
const END_MAX: Millis = 1000;

export interface BlackBoxOptions {
  readonly now: () => Millis;
  /** Milliseconds since 1970. */
  readonly timeOfDay: () => Millis;
  readonly log: Pick<Logger, "warn" | "info">;
  readonly directory: string;
  /** What is the same for all parts of this life. */
  readonly about: Pick<Beginning, "life" | "version" | "kernel" | "pathManager">;
  /** How the host is at the moment. */
  readonly host: () => Omit<HostBeginning, "config">;
  /** Table and limits at the moment; undefined: the in-kernel path manager is in charge. */
  readonly table: (() => Pick<ConfigChanged, "endpoints" | "limits">) | undefined;
  readonly tokens: () => readonly Token[];
  readonly connection: (token: Token) => ConnectionSnapshot | undefined;
  /** Whom the kernel is asked by whose connections are. */
  readonly openOwners?: (() => AskOwner) | undefined;
}

/**
 * What the engines were told and did, in a bounded ring of files: off the way from an event to its command, which only notes; encoding and
 * writing are done when there is time. Whatever goes wrong with it harms nothing else.
 */
export class BlackBox implements Disposable {
  readonly #options: BlackBoxOptions;
  readonly #whose: Whose;
  #writer = new RecordingWriter();
  #isMasked = false;
  #ring: Ring | undefined;
  #size: number | undefined;
  #part = 0;
  #queue: Entry[] = [];
  #next = 0;
  #toSee: Token[] = [];
  #lost = 0;
  #lostInAll = 0;
  #bytes = 0;
  /** Written or not. */
  #noted = 0;
  #entries = 0;
  #inFrame = 0;
  /** Those who want to know when everything is encoded. */
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #retryAt: Millis | undefined;
  /** Nothing is written before the daemon has given up the rights that it does not need. */
  #isOpen = false;
  #said = "";
  readonly #last: {
    config?: HostConfig;
    policies?: EngineEvent;
    addresses?: EngineEvent;
    signals?: EngineEvent;
    treatment?: ConfigChanged;
  } = {};

  constructor(options: BlackBoxOptions) {
    this.#options = options;
    const onFound = (token: Token, uid: number): void =>
      this.#queueUp({ type: "owner", at: options.now(), token, uid });
    this.#whose = new Whose({ onFound, open: options.openOwners });
  }

  [Symbol.dispose](): void {
    this.#whose[Symbol.dispose]();
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    for (const resolve of this.#waiting.splice(0)) resolve();
    if (!this.#ring || !this.#isOpen) return;
    while (this.#next < this.#queue.length) this.#encode(this.#queue[this.#next++] as Entry);
    this.#ring.end(this.#writer.take());
    this.#ring = undefined;
  }

  /** The last word, before the process ends: a disk that does not take it has so long. Later there is only what takes no time. */
  async end(): Promise<void> {
    if (!this.#ring || !this.#isOpen) return;
    this.#flushAll();
    const late = new AbortController();
    await Promise.race([
      this.#ring.settled(),
      sleep(END_MAX, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
  }

  /**
   * @param size of the ring in bytes; undefined: off
   * @param isMasked addresses become other ones before they are written
   */
  configure(size: number | undefined, isMasked = false): void {
    const isSame = size === this.#size && isMasked === this.#isMasked;
    if (isSame && (size !== undefined || this.#part > 0)) return;
    this.#size = size;
    this.#flushAll();
    this.#ring?.end(this.#writer.take());
    if (isMasked !== this.#isMasked) this.#writer = new RecordingWriter(isMasked ? newMask() : undefined);
    this.#isMasked = isMasked;
    this.#ring = size === undefined ? undefined : new Ring(this.#options.directory, size);
    if (this.#ring) this.#beginPart();
    // What begins later does not begin with the daemon.
    else this.#part ||= 1;
  }

  /** From now on files may be written. */
  open(): void {
    this.#isOpen = true;
    this.#ring?.begin();
    this.#arm();
  }

  /** The engine of connections was told something: noted, no more. */
  event(event: EngineEvent, actions: readonly Action[], at: Millis): void {
    if (!this.#ring) this.#remember(event);
    this.#note({ type: "event", at, event, actions });
    if (this.#ring) this.#followOwners(event);
  }

  fact(
    fact: HostFact,
    actions: readonly HostAction[],
    at: Millis,
    context: { readonly recovers: boolean; readonly sysctls: readonly SysctlRead[] },
  ): void {
    if (!this.#ring && fact.type === "configured") this.#last.config = fact.config;
    this.#note({ type: "fact", at, fact, actions, ...context });
    // Where the in-kernel path manager is in charge, the host alone hears of connections.
    if (!this.#ring || this.#options.table || fact.type !== "events") return;
    for (const event of fact.events) {
      const translated = translate(event);
      if (translated) this.#followOwners(translated);
    }
  }

  #followOwners(event: EngineEvent): void {
    switch (event.type) {
      case "connection.created":
      case "connection.established":
        return this.#whose.begun(event.token);
      case "connection.closed":
        return this.#whose.ended(event.token);
      case "kernel.snapshot":
        return this.#whose.keep(new Map(event.connections.map(({ connection: { token, uid } }) => [token, uid])));
      default:
        return;
    }
  }

  /** Resolves when what was noted before can be read; @returns where; undefined: it is off */
  async written(): Promise<string | undefined> {
    if (this.#ring && this.#isOpen) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#immediate ??= setImmediate(() => this.#work());
      });
    }
    await this.#ring?.settled();
    return this.#ring?.directory;
  }

  /** What is wrong at present, a sentence each. */
  get troubles(): readonly string[] {
    const trouble = this.#ring?.trouble;
    return trouble === undefined ? [] : [`the black box cannot be written: ${trouble}`];
  }

  /** undefined: it is off. */
  get use(): BlackBoxUse | undefined {
    if (!this.#ring || this.#size === undefined) return undefined;
    const { directory } = this.#ring;
    return { directory, size: this.#size, written: this.#bytes, entries: this.#entries, lost: this.#lostInAll };
  }

  #note(entry: EventEntry | FactEntry): void {
    this.#noted++;
    this.#queueUp(entry);
  }

  #queueUp(entry: EventEntry | FactEntry | OwnerEntry): void {
    if (!this.#ring) return;
    if (this.#queue.length - this.#next >= QUEUE_MAX) {
      this.#lost++;
      return;
    }
    this.#queue.push(entry);
    this.#arm();
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#immediate !== undefined || !this.#isOpen) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#work();
    }, REST).unref();
  }

  /** A slice of what waits. */
  #work(): void {
    this.#immediate = undefined;
    const { now } = this.#options;
    const end = now() + SLICE;
    for (let step = 1; this.#next < this.#queue.length || this.#toSee.length > 0; step++) {
      this.#step();
      if (step % SLICE_STEP === 0 && now() >= end) {
        this.#immediate = setImmediate(() => this.#work());
        return;
      }
    }
    this.#onIdle();
  }

  #step(): void {
    if (this.#next < this.#queue.length) this.#encode(this.#queue[this.#next++] as Entry);
    else this.#see(this.#toSee.pop() as Token);
    if (this.#writer.size >= FRAME_SIZE) this.#write();
  }

  #flushAll(): void {
    if (!this.#isOpen || !this.#ring) return;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = this.#immediate = undefined;
    while (this.#next < this.#queue.length || this.#toSee.length > 0) this.#step();
    this.#onIdle();
  }

  /** Everything that was noted is encoded: only now what is read of the engines fits to it. */
  #onIdle(): void {
    this.#queue = [];
    this.#next = 0;
    this.#write();
    for (const resolve of this.#waiting.splice(0)) resolve();
    this.#say();
    const { now } = this.#options;
    if (this.#ring?.isRefused) {
      this.#retryAt ??= now() + RETRY;
      if (now() >= this.#retryAt) this.#beginPart();
    } else if (this.#lost > 0 || this.#ring?.isFull) this.#beginPart();
  }

  #write(): void {
    if (!this.#isOpen) return;
    const frame = this.#writer.take();
    if (!frame || !this.#ring) return;
    const entries = this.#inFrame;
    this.#inFrame = 0;
    // Frames after it refer to what stands in it: a part that begins anew needs nothing of it.
    const onLost = (): void => {
      this.#lost += entries;
    };
    if (this.#ring.write(frame, onLost)) this.#bytes += frame.length;
    else onLost();
  }

  #encode(entry: Entry): void {
    if (entry.type === "event") this.#remember(entry.event);
    else if (entry.type === "fact" && entry.fact.type === "configured") this.#last.config = entry.fact.config;
    this.#entries++;
    this.#inFrame++;
    if (!this.#writer.add(entry)) this.#lost++;
  }

  #see(token: Token): void {
    const connection = this.#options.connection(token);
    if (!connection) return;
    const at = this.#options.now();
    this.#writer.add({ type: "seen", at, connection });
    const uid = this.#whose.of(token);
    if (uid !== undefined) this.#writer.add({ type: "owner", at, token, uid });
  }

  #remember(event: EngineEvent): void {
    if (event.type === "policies.changed") this.#last.policies = event;
    else if (event.type === "host.signals") this.#last.signals = event;
    else if (event.type === "host.addresses")
      this.#last.addresses = { ...this.#last.addresses, ...event } as EngineEvent;
    else if (event.type === "config.changed") {
      const { policy, given, delay, rules, remoteAddresses = this.#last.treatment?.remoteAddresses } = event;
      const before = this.#last.treatment;
      const treated = policy === undefined ? before : { policy, given, delay, rules };
      this.#last.treatment = { ...treated, type: "config.changed", remoteAddresses };
    }
  }

  /** A file that plays by itself: it begins with how the engines are now. */
  #beginPart(): void {
    const { about, host, now, timeOfDay, table, tokens } = this.#options;
    const isWhole = this.#part === 0;
    const at = now();
    if (this.#lost > 0 && !isWhole) this.#writer.add({ type: "lost", at, entries: this.#lost });
    this.#lostInAll += this.#lost;
    this.#lost = 0;
    this.#retryAt = undefined;
    this.#write();
    if (this.#isOpen) this.#ring?.begin();
    const engine: EngineBeginning | undefined = table && { setUp: isWhole ? [] : this.#setUp(table()) };
    this.#writer.begin({
      ...{ type: "begin", at, epoch: timeOfDay(), part: this.#part++, before: this.#noted, ...about, engine },
      ...(this.#isMasked && { isMasked: true }),
      host: { ...host(), config: this.#last.config },
    });
    this.#toSee = isWhole || !table ? [] : [...tokens()];
    if (this.#toSee.length > 0) this.#arm();
  }

  #setUp(table: Pick<ConfigChanged, "endpoints" | "limits">): EngineEvent[] {
    const { policies, treatment, addresses, signals } = this.#last;
    const events = [policies, { type: "config.changed", ...table } as const, addresses, signals, treatment];
    return events.filter((event) => event !== undefined);
  }

  /** Once, and again when it is over. */
  #say(): void {
    const [trouble = ""] = this.troubles;
    if (trouble === this.#said) return;
    const { log } = this.#options;
    if (trouble === "") log.info("the black box is written again");
    else log.warn(`${trouble}; all else goes on, and it is tried again`);
    this.#said = trouble;
  }
}

/** The key is nowhere but in this daemon's memory: with it goes what would tell who was who. */
function newMask(): AddressMask {
  const key = randomBytes(32);
  return new AddressMask((text) => createHmac("sha256", key).update(text).digest());
}
