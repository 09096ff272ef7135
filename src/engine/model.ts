import {
  type Address,
  type AddressId,
  type Dbm,
  type Endpoint,
  type Family,
  familyOf,
  type Limits,
  type Millis,
  type Path,
  type Side,
  sameAddress,
  type Token,
  unmap,
} from "../types/index.ts";
import type { ActionId } from "./actions.ts";
import type { Allowance } from "./allowance.ts";
import { localPoint, pairsOf } from "./pairs.ts";
import {
  type AttemptView,
  type ConnectionView,
  familiesMatch,
  type OpenPair,
  type PairView,
  type RemoteAddressState,
  type RemoteAddressView,
  type RemotePoint,
} from "./policy.ts";
import type { Standing } from "./remote/standing.ts";
import type { Owner } from "./rules/rule.ts";
import { Subflow } from "./subflow.ts";
import type { Timed } from "./timers.ts";
import type { Treatment, Whereabouts } from "./treatment.ts";

/** Shared by all connections for a list that most of them never need. */
const NONE: readonly never[] = Object.freeze([]);

/** The list with one more. A push keeps room for 16 to come, and so does a spread: a fifth of all that is remembered of a connection. */
function append<T>(list: readonly T[], item: T): readonly T[] {
  const longer = new Array<T>(list.length + 1);
  for (let index = 0; index < list.length; index++) longer[index] = list[index] as T;
  longer[list.length] = item;
  return longer;
}

/** An address the peer announced, as remembered. */
export interface RemoteAddress extends RemoteAddressView {
  readonly id: AddressId;
  address: Address;
  port: number;
  state: RemoteAddressState;
  source: Address | undefined;
}

/** An address we announced. */
export interface Announced {
  readonly endpoint: AddressId;
  localId: AddressId;
  readonly address: Address;
  readonly port: number;
  readonly backup: boolean;
  /** The kernel refused its id, and was asked for its list. */
  refused: boolean;
}

/** Subflows to be destroyed, and the address whose RM_ADDR goes out in the same send before them; undefined: none does. */
export interface Closing {
  readonly withdrawn: { readonly localId: AddressId; readonly address: Address } | undefined;
  readonly subflows: readonly Subflow[];
  /** What takes their place: they are closed when none of these is being opened any more. */
  readonly replacedBy?: readonly Subflow[] | undefined;
}

/** How far a connection's data had come when it was looked at. */
export interface Received {
  /** Of the connection: in order. Of all subflows: whatever arrived. */
  readonly inOrder: number;
  readonly bySubflows: number;
  /** Since when the second grows and the first does not; undefined: not so. */
  readonly holeSince: Millis | undefined;
  readonly at: Millis;
}

/** What all connections of an engine share. */
export interface Surroundings extends Whereabouts {
  readonly now: Millis;
  readonly treatment: Treatment;
  /** What it costs to send from local addresses; those not named: nothing. */
  readonly costs: ReadonlyMap<Address, number>;
  readonly signals: ReadonlyMap<Address, Dbm>;
}

/** What the engine could not follow: the policy threw, or its plan was wrong. */
export interface PlanRefusal {
  readonly policy: string;
  readonly reason: string;
  /** No plan was taken since: what the last good one led to stays. */
  standing: boolean;
}

/** When all paths may be probed again because nothing comes in, and how long after the last time. */
export interface Asking {
  againAt: Millis;
  pace: Millis;
}

/** Everything remembered of one connection; what a policy may see of it is {@link ConnectionView}. Lists are shared until first written. */
export class Connection implements ConnectionView, Timed {
  readonly token: Token;
  readonly side: Side;
  readonly initial: Path;
  treatment: Treatment;
  /** Whose it is, where a rule asked. */
  owner: Owner | undefined = undefined;
  /** Of a policy in another process. */
  remote: Standing | undefined = undefined;
  /** A rule waits for that: nothing is planned before; until when it waits. */
  ownerBy: Millis | undefined = undefined;
  denyJoinId0: boolean;
  /** A server has taken its initial address back (RM_ADDR of id 0): when it returns it is announced, under the id of its endpoint. */
  isInitialWithdrawn = false;
  established = false;
  /** A SUBFLOW_CREATE was refused because the kernel takes none yet. */
  tooEarly = false;
  /** False once the kernel said "userspace PM not selected", or when it fell back to TCP: never acted upon. */
  owned = true;
  /** The policy's. */
  memory: unknown = undefined;
  idConflicts = 0;
  dueAt: Millis = 0;
  timerIndex = -1;
  /** When the policy is to be asked again, because it said so or something can be tried again; Infinity: not by itself. */
  wakeAt: Millis = Number.POSITIVE_INFINITY;
  /** There is more to be announced. */
  hasMoreToAnnounce = false;
  /** When the next ADD_ADDR may go out; 0: now. */
  announceAt: Millis = 0;
  announcedAt: Millis = 0;
  /** From one announcement to the next; 0: the round trip was not asked for yet. */
  announcePace: Millis = 0;
  /** When the RM_ADDR slot is free again. No integer: V8 would make other objects of all connections at the first loss. */
  removeAt: Millis = Number.NEGATIVE_INFINITY;
  subflows: readonly Subflow[];
  remotes: readonly RemoteAddress[] = NONE;
  announced: readonly Announced[] = NONE;
  /** Endpoints of which something was asked of the kernel: its own list for this connection may have them. */
  listed: readonly AddressId[] = NONE;
  /** Waiting for the RM_ADDR slot; each withdraws an address. */
  removals: readonly Closing[] = NONE;
  /** Waiting for another subflow that works, because these are the last (closing.ts). */
  held: readonly Closing[] = NONE;
  /** How many announcements may still be looked at; undefined: none was made yet. */
  announcementsLeft: Allowance | undefined = undefined;
  /** How many subflows were asked for. */
  creations = 0;
  /** How many more may be (opening.ts); undefined: it was not so many yet that they are counted. */
  creationsLeft: Allowance | undefined = undefined;
  attempts: readonly AttemptView[] = NONE;
  isFull = false;
  /** Subflows that a look, or a refused command, told to be gone before their end was told: it is still to come. */
  unheard: readonly Path[] = NONE;
  /** Looks at the kernel that were asked for, and are not answered yet. */
  inspections: readonly ActionId[] = NONE;
  /** Local addresses that were just withdrawn from the peer, and until when nothing is opened from there; see retry.ts. */
  resting: readonly { readonly address: Address; readonly until: Millis }[] = NONE;
  /** Nothing comes in any more, and it was not asked why (silence.ts); at once, or when it lasts. */
  isPausing = false;
  readonly askSoon: Asking = { againAt: 0, pace: 0 };
  readonly askLate: Asking = { againAt: 0, pace: 0 };
  /** What of the peer's data has arrived in order, and since when data arrive behind a hole; see silence.ts. */
  received: Received | undefined = undefined;
  /** Bytes that went to and fro, as they were last counted: only where a delay asks (waiting.ts). */
  moved = 0;
  /** The first plan of a policy that was refused; kept when a later one is taken, so that it is reported once. */
  refusal: PlanRefusal | undefined = undefined;
  /** Ids that differ from the endpoint's own: [endpoint, id]. */
  otherIds: readonly (readonly [AddressId, AddressId])[] = NONE;
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings, facts: { token: Token; side: Side; path: Path; denyJoinId0: boolean }) {
    this.#surroundings = surroundings;
    this.treatment = surroundings.treatment;
    this.token = facts.token;
    this.side = facts.side;
    this.initial = facts.path;
    this.denyJoinId0 = facts.denyJoinId0;
    const initial = new Subflow({
      state: "established",
      path: facts.path,
      localId: 0,
      remoteId: 0,
      join: false,
      initiated: facts.side === "client",
      backup: false,
    });
    initial.since = surroundings.now;
    this.subflows = [initial];
  }

  add(subflow: Subflow): void {
    this.subflows = append(this.subflows, subflow);
  }

  get family(): Family {
    return familyOf(this.initial.local.address);
  }

  get initialRemote(): RemotePoint {
    const { address, port } = this.initial.remote;
    return { id: 0, address, port };
  }

  get now(): Millis {
    return this.#surroundings.now;
  }

  get signals(): ReadonlyMap<Address, Dbm> {
    return this.#surroundings.signals;
  }

  get endpoints(): readonly Endpoint[] {
    return this.treatment.endpointsOf(this.#surroundings);
  }

  get limits(): Limits {
    return this.treatment.limitsOf(this.#surroundings.table);
  }

  get pairs(): readonly PairView[] {
    return pairsOf(this);
  }

  get extraSubflows(): number {
    let count = 0;
    for (const subflow of this.subflows) if (subflow.join && subflow.state !== "closing") count++;
    return count;
  }

  get addressesAnnounced(): number {
    return this.announced.length;
  }

  costOf(local: Address): number {
    return this.#surroundings.costs.get(unmap(local)) ?? 0;
  }

  countEndpoints(flag: number): number {
    const { treatment } = this;
    if (!treatment.choosesInterfaces) return this.#surroundings.table.count(flag);
    return this.endpoints.filter(({ flags }) => (flags & flag) !== 0).length;
  }

  isInitial({ address, port }: { readonly address: Address; readonly port: number }): boolean {
    const { local } = this.initial;
    return (port === 0 || port === local.port) && sameAddress(address, local.address);
  }

  pairOf(endpoint: Endpoint, remote: RemotePoint): OpenPair | undefined {
    // Whoever foresees is not to know the address: it is taken from here.
    const { address, port } = remote.id === 0 ? this.initial.remote : remote;
    if (remote.id === 0 && this.denyJoinId0) return undefined;
    if (!familiesMatch(this.family, endpoint.address, address)) return undefined;
    return { local: localPoint(endpoint), remote: { id: remote.id, address, port } };
  }

  /** The peer knows it from the beginning: it needs no announcement, and has id 0. */
  isInitialStill(endpoint: { readonly address: Address; readonly port: number }): boolean {
    return !this.isInitialWithdrawn && this.isInitial(endpoint);
  }

  localId(endpoint: Endpoint): AddressId {
    if (this.isInitialStill(endpoint)) return 0;
    const other = this.otherIds.find(([id]) => id === endpoint.id);
    if (other) return other[1];
    if (!this.isTaken(endpoint.id, endpoint)) return endpoint.id;
    // Another address has this number here: one from the far end, where neither table nor kernel choose from.
    for (let id = 255; id > 0; id--) if (!this.isTaken(id, endpoint) && !this.#surroundings.table.byId(id)) return id;
    return endpoint.id;
  }

  /** Some other endpoint goes by this id here. */
  isTaken(id: AddressId, { id: own, address }: Endpoint): boolean {
    for (const { withdrawn } of this.removals)
      if (withdrawn?.localId === id && withdrawn.address !== address) return true;
    for (const { subflows } of this.held) {
      for (const { localId, path } of subflows) {
        if (localId === id && !sameAddress(path.local.address, address)) return true;
      }
    }
    for (const [endpoint, taken] of this.otherIds) if (taken === id && endpoint !== own) return true;
    for (const announced of this.announced) if (announced.localId === id && announced.endpoint !== own) return true;
    return false;
  }

  /** In this connection the endpoint goes by another id than its own. */
  rename(endpoint: AddressId, id: AddressId): void {
    if (endpoint === 0 || id === 0) return;
    // Who had this id before is forgotten by the kernel (its DESTROY does that), or the id were not free.
    this.otherIds = [...this.otherIds.filter(([other, taken]) => other !== endpoint && taken !== id), [endpoint, id]];
    this.announced = this.announced.filter((announced) => announced.localId !== id || announced.endpoint === endpoint);
  }

  isListed(endpoint: AddressId): boolean {
    return this.listed.includes(endpoint);
  }

  isAnnounced(endpoint: AddressId): boolean {
    return this.announced.some((announced) => announced.endpoint === endpoint);
  }

  /** The kernel is asked for something of this endpoint; again does no harm. */
  list(endpoint: AddressId): void {
    if (endpoint !== 0 && !this.listed.includes(endpoint)) this.listed = append(this.listed, endpoint);
  }

  /** The endpoint is gone, or as new. */
  unlist(endpoint: AddressId): void {
    if (this.listed.includes(endpoint)) this.listed = this.listed.filter((id) => id !== endpoint);
  }
}
