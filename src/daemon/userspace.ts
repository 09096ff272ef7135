import {
  type Action,
  type Command,
  type ConfigChanged,
  type ConnectionExplanation,
  type ConnectionSnapshot,
  Engine,
  type EngineEvent,
  type EngineSnapshot,
  type HostAddresses,
  type PoliciesChanged,
  type PolicyAsk,
  type PolicyPlanned,
  type RemoteAddressRules,
  type Traced,
  type World,
} from "../engine/index.ts";
import { type Capacity, REST } from "../host/index.ts";
import { Pace } from "../host-facts/index.ts";
import type {
  AnswerCounts,
  EndpointChange,
  MptcpPm,
  NetlinkClient,
  NetlinkSubscription,
  NewEndpoint,
  Rtnl,
} from "../netlink/index.ts";
import { policies } from "../policies/index.ts";
import {
  assert,
  type Endpoint,
  errnoText,
  formatSocketAddress,
  type LatencyCounts,
  type Limits,
  type Millis,
  MPTCP_EVENT,
  type MptcpEvent,
  type PathCounts,
  type SocketAddress,
  sameAddress,
  type Token,
} from "../types/index.ts";
import type { MessageHeader } from "../wire/index.ts";
import { Driver } from "./driver.ts";
import { Foresight } from "./foresight.ts";
import type { EndpointPort, EndpointRemoval, Refusal } from "./host/endpoint-port.ts";
import { KernelPort } from "./kernel-port.ts";
import { PortListeners } from "./listeners.ts";
import type { Logger } from "./logger.ts";
import { observeAll } from "./observe.ts";
import { ByteWatch } from "./rules/byte-watch.ts";
import { Owners } from "./rules/owners.ts";
import { SignalWatch } from "./signals/signal-watch.ts";
import { describe, tokenOf } from "./trace.ts";
import { translateBatch } from "./translate.ts";
import { Latency } from "./tuning/latency.ts";
import { rehearse, warmUp } from "./tuning/warm-up.ts";
import { PathWatch } from "./watch.ts";

/** Multicast has no sequence numbers: a slow comparison with the kernel finds what no overrun told of. */
const AUDIT_INTERVAL: Millis = 60_000;
/** Overruns come in rows; after the first one the next resync waits this long, so that the daemon does not only dump. */
const RESYNC_GAP: Millis = 500;
/** A script that flushes the kernel's table over and over is not answered as often; nor is a busy port tried more often. */
const REOPEN_GAP: Millis = 1000;

type Note = (event: EngineEvent, actions: readonly Action[]) => void;
type Record = (event: EngineEvent, actions: readonly Action[], now: Millis) => void;

export interface UserspaceOptions {
  readonly pm: MptcpPm;
  readonly rtnl: Rtnl;
  readonly log: Logger;
  readonly now: () => Millis;
  /** The table is as large as the kernel's own, so that scripts meet the same walls. */
  readonly capacity: Capacity;
  /** A policy in another process is asked. */
  readonly onAsk: (question: PolicyAsk) => void;
}

/** The userspace path manager of a namespace: the engine, fed by the kernel, its actions carried out. Has the endpoint table. */
export class UserspacePathManager implements EndpointPort, Disposable {
  readonly #options: UserspaceOptions;
  readonly #listeners: PortListeners;
  readonly #engine: Engine;
  readonly #driver: Driver;
  readonly #port: KernelPort;
  readonly #owners: Owners;
  readonly #latency: Latency;
  #foresight: Foresight | undefined;
  readonly #watch: PathWatch;
  readonly #bytes: ByteWatch;
  readonly #signals: SignalWatch;
  readonly #audit: NodeJS.Timeout;
  readonly #answers = new Map<number, Refusal>();
  readonly #resync: Pace;
  readonly #reopen: Pace;
  /** Every connection is looked at: on a host where links come and go all the time, not for each of them. */
  readonly #retry: Pace;
  #requests = 0;
  #note: Note | undefined;
  #record: Record | undefined;
  readonly #world: World & { trace: World["trace"] };

  constructor(options: UserspaceOptions) {
    this.#options = options;
    const { pm, rtnl, log, now, capacity } = options;
    const table = { endpointsMax: capacity.endpoints, limitMax: capacity.limit };
    this.#engine = new Engine({ policies, table, createsNoBackup: capacity.createsNoBackup });
    this.#listeners = new PortListeners(pm);
    this.#latency = new Latency(now);
    const send: NetlinkClient["executeAll"] = (requests) => pm.client.executeAll(requests);
    this.#port = new KernelPort({
      pm,
      rtnl,
      listeners: this.#listeners,
      execute: (requests) => this.#latency.sent(requests, send),
      onAnswer: (request, errno, message) => this.#answers.set(request, { errno, message }),
      onAsk: (question) => options.onAsk(question),
      onOwner: (query) => this.#owners.answer(query),
      onReport: ({ token, policy, reason }) => log.error(tokenOf({ token }), `policy ${policy} fails: ${reason}`),
    });
    this.#owners = new Owners({
      now,
      onFound: (event) => this.#driver.handle(event),
      onDenied: () =>
        log.warn(
          "rules that name a command need CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: other users' processes cannot be looked into",
        ),
    });
    const logs = log.isLevelEnabled("debug");
    this.#world = {
      run: (actions: readonly Action[]) => this.#port.run(actions),
      now,
      onCut: (events: number) =>
        log.error(`the engine and the kernel do not come to an end: ${events} events were left out`),
      trace: logs ? this.#trace : undefined,
    };
    this.#driver = new Driver(this.#engine, this.#world);
    this.#resync = new Pace({
      now,
      gap: RESYNC_GAP,
      run: () => {
        log.warn("events were lost; reading all connections anew");
        this.#driver.handle({ type: "kernel.overrun" });
        this.#reopen.ask();
      },
    });
    this.#reopen = new Pace({ now, gap: REOPEN_GAP, run: () => this.#reopenListeners() });
    this.#retry = new Pace({ now, rest: REST, run: () => this.#driver.handle({ type: "network.changed" }) });
    this.#watch = new PathWatch({
      engine: this.#engine,
      handleAll: (events) => this.#driver.handleAll(events),
      now,
    });
    this.#bytes = new ByteWatch({
      engine: this.#engine,
      handleAll: (events) => this.#driver.handleAll(events),
      now,
    });
    this.#signals = new SignalWatch({ engine: this.#engine, handle: (event) => this.#hearAhead(event), now });
    this.#audit = setInterval(() => {
      this.adopt();
      this.#reopenListeners();
    }, AUDIT_INTERVAL);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#audit);
    this.#watch[Symbol.dispose]();
    this.#bytes[Symbol.dispose]();
    this.#signals[Symbol.dispose]();
    this.#resync[Symbol.dispose]();
    this.#reopen[Symbol.dispose]();
    this.#retry[Symbol.dispose]();
    this.#owners[Symbol.dispose]();
    this.#foresight?.[Symbol.dispose]();
    this.#driver[Symbol.dispose]();
    this.#listeners.end((local) => this.#hasSubflows(local));
  }

  #hasSubflows({ address, port }: SocketAddress): boolean {
    return this.tokens.some((token) =>
      this.connection(token)?.subflows.some(
        ({ path: { local } }) => local.port === port && sameAddress(local.address, address),
      ),
    );
  }

  /** From now on connections that are like earlier ones get their subflows before their events are read here. */
  foresee(subscription: NetlinkSubscription): void {
    this.#foresight = new Foresight({
      engine: this.#engine,
      pm: this.#options.pm,
      subscription,
    });
  }

  get latency(): LatencyCounts {
    return this.#latency.counts;
  }

  /** Of what went out ahead; undefined: nothing does. */
  get ahead(): AnswerCounts | undefined {
    return this.#foresight?.counts;
  }

  /** What the kernel told in one wake-up; `last` is the header of the last establishment among it. */
  onEvents(events: readonly MptcpEvent[], last: MessageHeader | undefined): void {
    this.#latency.begin();
    for (const { token, requests } of this.#foresight?.given() ?? []) this.#port.ahead.add(token, requests);
    try {
      this.#driver.handleAll(translateBatch(events));
    } finally {
      this.#latency.end();
    }
    if (!this.#port.ahead.isEmpty) this.#endAhead();
    this.#foresight?.end(last);
    this.#wake();
    if (events.some((event) => this.#isOfOurListener(event))) this.#reopen.ask();
  }

  /** What the engine did not ask for is there all the same, as if somebody else had asked the kernel for it. */
  #endAhead(): void {
    for (const token of this.#port.ahead.end()) {
      this.#options.log.debug(tokenOf({ token }), "what went out ahead is not what the policy planned");
    }
  }

  /** The kernel dropped events: everything is read anew, soon. */
  onOverrun(): void {
    this.#resync.ask();
  }

  /** Reads the connections that exist, at start and in the audit. */
  adopt(): void {
    this.#driver.handle({ type: "kernel.snapshot", connections: observeAll(this.#options.pm) });
    this.#wake();
  }

  /** There may be something to be looked at now. */
  #wake(): void {
    this.#watch.wake();
    this.#bytes.wake();
    this.#signals.wake();
  }

  /** Steps that let V8 compile the way from an event to its command. */
  warmUp(): Iterable<void> {
    const { pm, rtnl, now } = this.#options;
    return warmUp(pm, rtnl, now, this.#engine.policy);
  }

  /** Touches the memory that the next connection will need. */
  refresh(): void {
    const { pm, rtnl, now } = this.#options;
    rehearse(pm, rtnl, now, this.#engine.policy, 1);
  }

  /** How connections are treated, and which addresses of peers are believed. */
  useConfig(
    treatment: Pick<ConfigChanged, "policy" | "given" | "delay" | "rules" | "onlyNew">,
    remoteAddresses?: RemoteAddressRules,
  ): void {
    this.#foresight?.pause();
    this.#hearAhead({ type: "config.changed", ...treatment, remoteAddresses });
    this.#signals.wake();
  }

  /** What policies in other processes say, or that they have come, gone, or do not answer. */
  hear(event: PolicyPlanned | PoliciesChanged): void {
    this.#driver.handle(event);
    this.#wake();
  }

  /** The policy in charge brings lost subflows back itself. */
  get triesAgain(): boolean {
    return this.#engine.triesAgain;
  }

  /** Links, addresses or routes have changed. */
  onNetwork(): void {
    this.#retry.ask();
  }

  /** The addresses of this host with their interfaces, and those where traffic costs money. Peers that announce one of them are not believed. */
  setOwnAddresses(told: Omit<HostAddresses, "type">): void {
    this.#hearAhead({ type: "host.addresses", ...told });
    if (told.interfaceNames) this.#signals.setInterfaces(told.interfaceNames);
  }

  /** What is prepared for new connections may be another thing after it. */
  #hearAhead(event: EngineEvent): void {
    this.#driver.handle(event);
    this.#foresight?.check();
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

  remove(which: EndpointRemoval): Refusal | undefined {
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
    this.#foresight?.pause();
    this.#driver.handle({ type: "command.received", request, command });
    const answer = this.#answers.get(request);
    assert(answer, "the engine answers every command");
    this.#answers.clear();
    this.#foresight?.check();
    this.#signals.wake();
    return answer.errno === 0 ? undefined : answer;
  }

  why(token: Token): ConnectionExplanation | undefined {
    return this.#engine.why(token, this.#options.now());
  }

  /** From now on every event and what it led to is told; undefined: no longer. */
  tell(note: Note | undefined): void {
    this.#note = note;
    this.#chooseTrace();
  }

  /** The same with the time that the engine was given, for who writes it down. */
  recordBy(record: Record): void {
    this.#record = record;
    this.#chooseTrace();
  }

  /** Tokens of all connections. */
  get tokens(): readonly Token[] {
    return this.#engine.tokens;
  }

  #chooseTrace(): void {
    const isWanted = this.#note || this.#record || this.#options.log.isLevelEnabled("debug");
    this.#world.trace = isWanted ? this.#trace : undefined;
  }

  connection(token: Token): ConnectionSnapshot | undefined {
    return this.#engine.connection(token);
  }

  get pathCounts(): PathCounts {
    return this.#engine.pathCounts;
  }

  get policy(): string {
    return this.#engine.policy;
  }

  get connectionCount(): number {
    return this.#engine.connectionCount;
  }

  snapshot(): EngineSnapshot {
    return this.#engine.snapshot();
  }

  /** What we close ourselves we have forgotten when the event comes; the kernel's table tells whether the others are closed still. */
  #isOfOurListener({ type, localAddress, localPort }: MptcpEvent): boolean {
    if (type !== MPTCP_EVENT.LISTENER_CLOSED || localAddress === undefined) return false;
    return this.#listeners.has({ address: localAddress, port: localPort ?? 0 });
  }

  #reopenListeners(): void {
    const { log } = this.#options;
    for (const { local, errno } of this.#listeners.reopen()) {
      const what = `the listener of ${formatSocketAddress(local)} was closed by somebody else`;
      if (errno === 0) log.warn(`${what}: it is open again`);
      else log.error(`${what}, and cannot be opened again yet: ${errnoText(errno)}`);
    }
    if (!this.#listeners.isWhole) this.#reopen.ask();
  }

  readonly #trace = ({ event, actions, now }: Traced): void => {
    const { log } = this.#options;
    this.#record?.(event, actions, now);
    this.#note?.(event, actions);
    if (!log.isLevelEnabled("debug")) return;
    log.debug({ event: event.type, ...tokenOf(event) }, describe(event));
    for (const action of actions) log.debug({ action: action.type, ...tokenOf(action) }, describe(action));
  };
}
