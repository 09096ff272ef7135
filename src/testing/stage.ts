import {
  type Action,
  type Delay,
  Engine,
  type EngineEvent,
  type GivenValues,
  type Owner,
  type Policy,
  type PolicyAsk,
  type PolicyPlanned,
  Pump,
  type RemotePolicy,
  type Rule,
  type Timing,
} from "../engine/index.ts";
import { type SimConnection, SimKernel, type SimSubflow } from "../sim/index.ts";
import {
  type Address,
  type Dbm,
  ENDPOINT_FLAG,
  ERRNO,
  type Limits,
  type Millis,
  type Side,
  type SocketAddress,
  type SubflowReading,
  sameAddress,
} from "../types/index.ts";

/** What a {@link Stage} is made of. */
export interface StageOptions {
  readonly policy: Policy;
  /** Parameters of it, by name; the others have their defaults. */
  readonly given?: GivenValues | undefined;
  /** Names of policies in other processes ("plugin:x"): {@link onAsk} answers for them. */
  readonly elsewhere?: readonly string[] | undefined;
  /** Answers for a policy in another process, a round trip later; undefined: it never does. */
  readonly onAsk?: ((question: PolicyAsk) => PolicyPlanned | undefined) | undefined;
  /** How connections are treated. */
  readonly rules?: readonly Rule[] | undefined;
  /** Whose connection it is, where a rule asks; undefined: nobody ever answers. */
  readonly owner?: Owner | undefined;
  /** Names of the interfaces of its addresses, by number. */
  readonly interfaceNames?: readonly string[] | undefined;
  /** No subflow is opened before. */
  readonly delay?: Delay | undefined;
  /** Others that can be asked for ({@link Stage.setPolicy}). */
  readonly others?: readonly Policy[] | undefined;
  /** How many addresses the host has, and how many the peer; the connection begins at the first of each. Default: 2 and 1. */
  readonly locals?: number | undefined;
  readonly remotes?: number | undefined;
  readonly side?: Side | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** RFC 8684 §3.1: the peer denies joins to its initial address. */
  readonly denyJoinId0?: boolean | undefined;
  /** Flags of endpoints: ENDPOINT_FLAG; default: subflow for clients, signal for servers. */
  readonly flags?: number | undefined;
  /** Indexes of the host's interfaces: of its address number n the n-th; absent: endpoints are bound to none. */
  readonly interfaces?: readonly number[] | undefined;
  readonly roundTrip?: Millis | undefined;
  readonly timing?: Partial<Timing> | undefined;
  /** As on Linux 6.1: what is created is no backup, until that is asked for afterwards. */
  readonly createsNoBackup?: boolean | undefined;
}

/** By the name of a subflow, as "0>1". */
export type Figures = Readonly<Record<string, Partial<SubflowReading>>>;

/** How a path behaves. `open`: as it should. `silent`: packets are lost without a word. `refusing`: SYNs are answered by RST. */
export type PathState = "open" | "silent" | "refusing";

const TOKEN = 1;
const PORT = 80;

/**
 * One connection of a host between made-up networks, for trying a policy without root, kernel and waiting: paths are cut, addresses
 * come and go, and time jumps to whatever happens next. Address number n of the host is 10.0.n.1, of the peer 10.0.n.2.
 */
export class Stage {
  readonly engine: Engine;
  /** What was asked of the kernel, with the time. */
  readonly log: { readonly at: Millis; readonly action: Action }[] = [];
  now: Millis = 0;
  readonly #kernel: SimKernel;
  readonly #connection: SimConnection;
  readonly #pump: Pump;
  readonly #paths = new Map<string, PathState>();
  readonly #signals = new Map<Address, Dbm>();
  readonly #silentSince = new Map<string, Millis>();
  readonly #roundTrip: Millis;
  readonly #flags: number;
  readonly #onAsk: StageOptions["onAsk"];
  readonly #owner: Owner | undefined;
  /** What the network does later. */
  #later: { readonly at: Millis; readonly happen: () => void }[] = [];
  #port = 40_000;
  #requests = 0;

  constructor(options: StageOptions) {
    const { policy, locals = 2, remotes = 1, side = "client", limits, timing, createsNoBackup } = options;
    this.#roundTrip = options.roundTrip ?? 20;
    this.#owner = options.owner;
    this.#onAsk = options.onAsk;
    this.#flags = options.flags ?? (side === "client" ? ENDPOINT_FLAG.subflow : ENDPOINT_FLAG.signal);
    this.engine = new Engine({ policies: [policy, ...(options.others ?? [])], timing, createsNoBackup });
    this.#kernel = new SimKernel({
      connectError: () => 0,
      sourceFor: () => this.local(0),
      port: () => this.#port++,
      listenError: () => 0,
    });
    this.#kernel.createsNoBackup = createsNoBackup ?? false;
    this.#pump = new Pump(this.engine, { now: () => this.now, run: (actions) => this.#run(actions) });
    this.#connection = this.#begin(side, options.denyJoinId0 ?? false);
    const endpoints = Array.from({ length: locals }, (_, n) => {
      return { address: this.local(n), flags: this.#flags, interfaceIndex: options.interfaces?.[n] ?? 0 };
    });
    const { given, delay, interfaceNames } = options;
    for (const name of options.elsewhere ?? []) this.elsewhere(name, true);
    if (interfaceNames) this.nameInterfaces(interfaceNames);
    const room = { subflows: 8, addAddrAccepted: 8, ...limits };
    this.#pump.feed({
      type: "config.changed",
      endpoints,
      limits: room,
      policy: policy.name,
      given,
      delay,
      rules: options.rules,
    });
    const { token, path, denyJoinId0 } = this.#connection;
    this.#pump.feed({ type: "connection.established", token, side, path, denyJoinId0 });
    for (let n = 1; n < remotes; n++) this.announce(n);
  }

  /** Address number n of the host, and of the peer. */
  local(n: number): Address {
    return `10.0.${n}.1` as Address;
  }

  remote(n: number): Address {
    return `10.0.${n}.2` as Address;
  }

  /** The subflows that work, as "local>remote" by number, in order: "0>0 1>0". */
  get subflows(): string {
    return this.#names(({ state }) => state === "established");
  }

  /** The same of those that ask to be backup. */
  get backups(): string {
    return this.#names(({ backup }) => backup);
  }

  /** Those that work and are no backup: data go there. */
  get active(): string {
    return this.#names(({ state, backup }) => state === "established" && !backup);
  }

  /** When subflows of a pair were asked for. */
  attempts(local: number, remote: number): readonly Millis[] {
    return this.log.flatMap(({ at, action }) =>
      action.type === "subflow.create" &&
      action.local.address === this.local(local) &&
      action.remote.address === this.remote(remote)
        ? [at]
        : [],
    );
  }

  /** The peer announces its address number n; again does no harm. */
  announce(n: number): void {
    const { token } = this.#connection;
    this.#feed({ type: "address.announced", token, remoteId: n, address: this.remote(n), port: PORT });
  }

  /** The peer takes its address number n back. */
  withdraw(n: number): void {
    const { token, subflows } = this.#connection;
    this.#kernel.events.push({ type: "address.removed", token, remoteId: n });
    for (const subflow of [...subflows]) if (subflow.remoteId === n) this.#kernel.close(this.#connection, subflow, 0);
    this.#read();
  }

  /** The host gets, or loses, its address number n. */
  addAddress(n: number): void {
    this.#feed({
      type: "command.received",
      request: ++this.#requests,
      command: { type: "endpoint.add", address: this.local(n), flags: this.#flags },
    });
  }

  /** From now on its address number n is for backup. */
  setBackup(n: number): void {
    const id = this.engine.endpoints().find(({ address }) => address === this.local(n))?.id ?? 0;
    const command = { type: "endpoint.change", id, flags: ENDPOINT_FLAG.backup } as const;
    this.#feed({ type: "command.received", request: ++this.#requests, command });
  }

  removeAddress(n: number): void {
    this.#removeEndpoint(n, false);
  }

  /** Its address number n is lost, or the link of it: nobody wants it away, and it may come back. */
  lose(n: number): void {
    this.#removeEndpoint(n, true);
  }

  /** The host has but the addresses of these numbers. */
  hasAddresses(...numbers: readonly number[]): void {
    this.#feed({ type: "host.addresses", addresses: numbers.map((n) => this.local(n)) });
  }

  /** What is sent from its address number n costs money. */
  meter(n: number): void {
    this.#feed({ type: "host.addresses", addresses: [], metered: [this.local(n)] });
  }

  /** To send from its address number n costs so much; the others nothing. */
  price(n: number, cost: number): void {
    this.#feed({ type: "host.addresses", addresses: [], costs: new Map([[this.local(n), cost]]) });
  }

  #removeEndpoint(n: number, isLoss: boolean): void {
    const id = this.engine.endpoints().find(({ address }) => address === this.local(n))?.id ?? 0;
    const command = { type: "endpoint.delete", id, isLoss } as const;
    this.#feed({ type: "command.received", request: ++this.#requests, command });
  }

  /** From now on the path from local address l to remote address r behaves so. What is on it stays until {@link reset}. */
  path(l: number, r: number, state: PathState): void {
    const name = `${l}>${r}`;
    this.#paths.set(name, state);
    if (state === "silent") this.#silentSince.set(name, this.now);
    else this.#silentSince.delete(name);
  }

  /** The peer opens a subflow from its address r to ours l. */
  join(l: number, r: number): void {
    const { subflows, path, token } = this.#connection;
    const local = { address: this.local(l), port: path.local.port };
    const remote = { address: this.remote(r), port: this.#port++ };
    const ids = { localId: this.#kernel.localIdFor(this.#connection, local.address), remoteId: r };
    const joined = { path: { local, remote }, ...ids, join: true, initiated: false, backup: false };
    subflows.push({ ...joined, state: "established" });
    this.#feed({ type: "subflow.established", token, path: joined.path, ...ids, backup: false });
  }

  /** The subflow between them ends, by RST or what errno says; 0: the peer closes it. */
  reset(l: number, r: number, errno: number = ERRNO.ECONNRESET): void {
    const subflow = this.#connection.subflows.find((candidate) => this.#nameOf(candidate) === `${l}>${r}`);
    if (subflow) this.#kernel.close(this.#connection, subflow, errno);
    this.#read();
  }

  /**
   * The kernel's figures are read. Data flow on every path: what is open is heard of, what is silent has data on their way since it became so.
   * @param figures by the subflow's name ("0>1"): what is to be read instead
   * @param outstanding bytes that the application has written and the peer has not acknowledged
   */
  measure(figures: Figures = {}, isQuiet = false, outstanding = 0): void {
    const inOrder = this.#readings(figures).reduce((sum, { bytesReceived }) => sum + bytesReceived, 0);
    this.#measured(inOrder, figures, isQuiet, outstanding);
  }

  /** The same where of the peer's data only so many bytes have arrived in order. */
  hole(inOrder: number, figures: Figures = {}): void {
    this.#measured(inOrder, figures, false);
  }

  /** What it has carried is counted: so many bytes. */
  count(bytes: number): void {
    this.#feed({ type: "connection.counted", token: TOKEN, bytes });
  }

  #measured(bytesReceived: number, figures: Figures, isQuiet: boolean, outstanding = 0): void {
    const subflows = this.#readings(figures);
    this.#feed({ type: "connection.measured", token: TOKEN, isQuiet, bytesReceived, outstanding, subflows });
  }

  #readings(figures: Figures): SubflowReading[] {
    return this.#connection.subflows
      .filter(({ state }) => state === "established")
      .map((subflow) => ({ ...this.#reading(subflow), ...figures[this.#nameOf(subflow)] }));
  }

  #reading(subflow: SimSubflow): SubflowReading {
    const silentSince = this.#silentSince.get(this.#nameOf(subflow));
    const since = silentSince === undefined ? 0 : this.now - silentSince;
    const bytes = 1000 * (this.now - since);
    const times = { rtt: this.#roundTrip, rttVar: 1, rto: 200 + this.#roundTrip, sinceSent: 0, sinceAck: since };
    const counts = { unacked: since > 0 ? 10 : 0, lost: 0, retransmits: 0, backoff: 0, bytesRetransmitted: 0 };
    const sums = { bytesSent: bytes, bytesAcked: bytes, bytesReceived: bytes, deliveryRate: 1e6, mss: 1400 };
    return { path: subflow.path, state: "established", ...times, ...counts, ...sums, sinceReceived: since };
  }

  /** A policy in another process is there ("plugin:x"), or answers no more. @param asks what it wants to be told of */
  elsewhere(name: string, isUp: boolean, asks: Pick<RemotePolicy, "measures" | "signals"> = {}): void {
    this.#feed({ type: "policies.changed", elsewhere: [{ name, isUp, ...asks }] });
  }

  /** Its address number n is on the n-th of these interfaces. */
  nameInterfaces(names: readonly string[]): void {
    const interfaceNames = new Map(names.map((name, n) => [this.local(n), name]));
    this.#feed({ type: "host.addresses", addresses: [...interfaceNames.keys()], interfaceNames });
  }

  /** The Wi-Fi of its address number n is received so well, in dBm; undefined: that is not known (any more). */
  signal(n: number, dbm: Dbm | undefined): void {
    if (dbm === undefined) this.#signals.delete(this.local(n));
    else this.#signals.set(this.local(n), dbm);
    this.#feed({ type: "host.signals", signals: new Map(this.#signals) });
  }

  /** Other rules from now on. */
  setRules(rules: readonly Rule[]): void {
    this.#feed({ type: "config.changed", policy: this.engine.policy, rules });
  }

  /** Somebody asks for another policy. @returns why not; undefined: it is done */
  setPolicy(policy: string, given: Readonly<Record<string, string>> = {}): string | undefined {
    const command = { type: "policy.set", token: TOKEN, policy, given } as const;
    this.#feed({ type: "command.received", request: ++this.#requests, command });
    const answer = this.log.findLast(({ action }) => action.type === "command.answer")?.action;
    return answer?.type === "command.answer" && answer.errno !== 0 ? answer.message : undefined;
  }

  /** Links, addresses or routes of the host have changed. */
  networkChanged(): void {
    this.#feed({ type: "network.changed" });
  }

  /** Time goes on by so much, from event to event. */
  pass(duration: Millis): void {
    const until = this.now + duration;
    for (;;) {
      this.#later.sort((a, b) => a.at - b.at);
      const next = Math.min(
        this.#later[0]?.at ?? Number.POSITIVE_INFINITY,
        this.engine.nextTick ?? Number.POSITIVE_INFINITY,
      );
      if (next > until) break;
      this.now = Math.max(this.now, next);
      const [first] = this.#later;
      if (first && first.at <= this.now) {
        this.#later.shift();
        first.happen();
        this.#read();
      } else this.#feed({ type: "tick" });
    }
    this.now = until;
  }

  #begin(side: Side, denyJoinId0: boolean): SimConnection {
    const [mine, theirs] = side === "client" ? [this.#port++, PORT] : [PORT, this.#port++];
    const path = { local: { address: this.local(0), port: mine }, remote: { address: this.remote(0), port: theirs } };
    return this.#kernel.open({ token: TOKEN, side, path, denyJoinId0, pathManager: "userspace", established: true });
  }

  #feed(event: EngineEvent): void {
    this.#pump.feed(event);
    this.#read();
  }

  #read(): void {
    for (let event = this.#kernel.events.shift(); event; event = this.#kernel.events.shift()) this.#pump.feed(event);
  }

  #run(actions: readonly Action[]): EngineEvent[] {
    return actions.flatMap((action) => {
      this.log.push({ at: this.now, action });
      return this.#outcome(action);
    });
  }

  #outcome(action: Action): EngineEvent[] {
    if (action.type === "policy.ask") {
      const answer = this.#onAsk?.(action);
      if (answer) this.#later.push({ at: this.now + this.#roundTrip, happen: () => this.#pump.feed(answer) });
      return [];
    }
    if (action.type === "owner.query")
      return this.#owner ? [{ type: "connection.owner", token: action.token, owner: this.#owner }] : [];
    const known = new Set(this.#connection.subflows);
    const outcome = this.#kernel.outcomeOf(action);
    for (const subflow of this.#connection.subflows) if (!known.has(subflow)) this.#dial(subflow);
    return outcome ? [outcome] : [];
  }

  /** A SYN is on its way: what becomes of it, the path decides when it is there. */
  #dial(subflow: SimSubflow): void {
    const happen = (): void => {
      if (!this.#connection.subflows.includes(subflow)) return;
      const state = this.#paths.get(this.#nameOf(subflow)) ?? "open";
      if (state === "refusing") this.#kernel.close(this.#connection, subflow, ERRNO.ECONNREFUSED);
      else if (state === "open") this.#establish(subflow);
      // The kernel sends it again.
      else this.#later.push({ at: this.now + 1000, happen });
    };
    this.#later.push({ at: this.now + this.#roundTrip, happen });
  }

  #establish(subflow: SimSubflow): void {
    subflow.state = "established";
    const { path, localId, remoteId } = subflow;
    this.#kernel.events.push({ type: "subflow.established", token: TOKEN, path, localId, remoteId, backup: false });
  }

  #names(which: (subflow: SimSubflow) => boolean): string {
    const names = this.#connection.subflows.filter(which).map((subflow) => this.#nameOf(subflow));
    return names.sort().join(" ");
  }

  #nameOf({ path }: { readonly path: { readonly local: SocketAddress; readonly remote: SocketAddress } }): string {
    const numberOf = (address: Address, name: (n: number) => Address): string => {
      for (let n = 0; n < 32; n++) if (sameAddress(address, name(n))) return String(n);
      return address;
    };
    return `${numberOf(path.local.address, this.local)}>${numberOf(path.remote.address, this.remote)}`;
  }
}
