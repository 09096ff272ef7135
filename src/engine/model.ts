import {
  type Address,
  type AddressId,
  ENDPOINT_FLAG,
  type Endpoint,
  type Family,
  familyOf,
  type Limits,
  type Millis,
  type Path,
  type Side,
  sameAddress,
  type Token,
} from "../types/index.ts";
import type { ActionId } from "./actions.ts";
import type {
  AttemptView,
  ConnectionView,
  RemoteAddressState,
  RemoteAddressView,
  SubflowState,
  SubflowView,
} from "./policy.ts";
import type { EndpointTable } from "./table.ts";
import type { Timed } from "./timers.ts";

/** Shared by all connections for a list that most of them never need. */
const NONE: readonly never[] = Object.freeze([]);

/** The list with one more. A push keeps room for 16 to come, and so does a spread: a fifth of all that is remembered of a connection. */
function append<T>(list: readonly T[], item: T): readonly T[] {
  const longer = new Array<T>(list.length + 1);
  for (let index = 0; index < list.length; index++) longer[index] = list[index] as T;
  longer[list.length] = item;
  return longer;
}

/** One subflow, as remembered. */
export class Subflow implements SubflowView {
  state: SubflowState;
  path: Path;
  localId: AddressId;
  readonly remoteId: AddressId;
  readonly join: boolean;
  readonly initiated: boolean;
  backup: boolean;
  backupByPeer = false;
  /** The `subflow.create` that made it; 0: none of ours. */
  createId: ActionId = 0;
  /** When to ask what became of it, while `creating`. */
  deadline: Millis = 0;
  /** Its handshake was completed: the connection may live by it. */
  alive: boolean;
  /** The kernel was asked what became of it. */
  asked = false;
  /** The kernel refused its local id, and was asked for its list. */
  refused = false;
  /** The announcement it answers (its id), -1: none. */
  answers = -1;
  interfaceIndex = 0;
  endpoint: AddressId = 0;

  constructor(facts: {
    readonly state: SubflowState;
    readonly path: Path;
    readonly localId: AddressId;
    readonly remoteId: AddressId;
    readonly join: boolean;
    readonly initiated: boolean;
    readonly backup: boolean;
  }) {
    this.state = facts.state;
    this.alive = facts.state !== "creating";
    this.path = facts.path;
    this.localId = facts.localId;
    this.remoteId = facts.remoteId;
    this.join = facts.join;
    this.initiated = facts.initiated;
    this.backup = facts.backup;
  }
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
}

/** What the engine could not follow: the policy threw, or its plan was wrong. */
export interface PlanRefusal {
  readonly policy: string;
  readonly reason: string;
  /** No plan was taken since: what the last good one led to stays. */
  standing: boolean;
}

/** Everything remembered of one connection; what a policy may see of it is {@link ConnectionView}. Lists are shared until first written. */
export class Connection implements ConnectionView, Timed {
  readonly token: Token;
  readonly side: Side;
  readonly initial: Path;
  denyJoinId0: boolean;
  established = false;
  /** A SUBFLOW_CREATE was refused because the kernel takes none yet. */
  tooEarly = false;
  /** False once the kernel said "userspace PM not selected", or when it fell back to TCP: never acted upon. */
  owned = true;
  settled: boolean;
  acceptsAddresses: boolean;
  acceptsSubflows: boolean;
  passDue = false;
  /** A pass was due while routing was asked about an announcement, which comes first: it follows the answer. */
  passOwed = false;
  /** The initial address was looked up among the endpoints (MPTCP_PM_MPC_ENDPOINT_ACCOUNTED). */
  accounted = false;
  initialEndpoint: AddressId = 0;
  localAddressesUsed = 0;
  addressesAccepted = 0;
  idConflicts = 0;
  dueAt: Millis = 0;
  timerIndex = -1;
  /** Next planned announcement, and when the RM_ADDR slot is free again; 0: no waiting. */
  announceAt: Millis = 0;
  announcedAt: Millis = 0;
  /** From one announcement to the next; 0: the round trip was not asked for yet. */
  announcePace: Millis = 0;
  removeAt: Millis = 0;
  subflows: readonly Subflow[];
  remotes: readonly RemoteAddress[] = NONE;
  announced: readonly Announced[] = NONE;
  used: readonly AddressId[] = NONE;
  /** Waiting for the RM_ADDR slot; each withdraws an address. */
  removals: readonly Closing[] = NONE;
  /** Waiting for another subflow that works, because these are the last (closing.ts). */
  held: readonly Closing[] = NONE;
  /** How many announcements may still be looked at; undefined: none was made yet. */
  allowance: { readonly left: number; readonly at: Millis } | undefined = undefined;
  attempts: readonly AttemptView[] = NONE;
  /** The first plan of a policy that was refused; kept when a later one is taken, so that it is reported once. */
  refusal: PlanRefusal | undefined = undefined;
  /** Ids that differ from the endpoint's own: [endpoint, id]. */
  otherIds: readonly (readonly [AddressId, AddressId])[] = NONE;
  readonly #table: EndpointTable;

  constructor(table: EndpointTable, facts: { token: Token; side: Side; path: Path; denyJoinId0: boolean }) {
    this.#table = table;
    this.token = facts.token;
    this.side = facts.side;
    this.initial = facts.path;
    this.denyJoinId0 = facts.denyJoinId0;
    // mptcp_pm_kernel_init: what the limits are now decides for the whole connection.
    const subflowsAllowed = table.limits.subflows > 0;
    this.settled = !(
      (subflowsAllowed && table.count(ENDPOINT_FLAG.subflow) > 0) ||
      table.count(ENDPOINT_FLAG.signal) > 0
    );
    this.acceptsAddresses = subflowsAllowed && table.limits.addAddrAccepted > 0;
    this.acceptsSubflows = subflowsAllowed;
    this.subflows = [
      new Subflow({
        state: "established",
        path: facts.path,
        localId: 0,
        remoteId: 0,
        join: false,
        initiated: facts.side === "client",
        backup: false,
      }),
    ];
  }

  add(subflow: Subflow): void {
    this.subflows = append(this.subflows, subflow);
  }

  get family(): Family {
    return familyOf(this.initial.local.address);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#table.list;
  }

  get limits(): Limits {
    return this.#table.limits;
  }

  get extraSubflows(): number {
    let count = 0;
    for (const subflow of this.subflows) if (subflow.join && subflow.state !== "closing") count++;
    return count;
  }

  get addressesAnnounced(): number {
    return this.announced.length;
  }

  countEndpoints(flag: number): number {
    return this.#table.count(flag);
  }

  localId(endpoint: Endpoint): AddressId {
    if (endpoint.id === this.initialEndpoint) return 0;
    const other = this.otherIds.find(([id]) => id === endpoint.id);
    if (other) return other[1];
    if (!this.isTaken(endpoint.id, endpoint)) return endpoint.id;
    // Another address has this number here: one from the far end, where neither table nor kernel choose from.
    for (let id = 255; id > 0; id--) if (!this.isTaken(id, endpoint) && !this.#table.byId(id)) return id;
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

  isUsed(endpoint: AddressId): boolean {
    return this.used.includes(endpoint);
  }

  isAnnounced(endpoint: AddressId): boolean {
    return this.announced.some((announced) => announced.endpoint === endpoint);
  }

  /** Marks an endpoint as used; again does no harm. */
  use(endpoint: AddressId): void {
    if (!this.used.includes(endpoint)) this.used = append(this.used, endpoint);
  }

  /** A subflow from the endpoint stays after all: what {@link release} gave back is taken again. */
  consume(endpoint: Endpoint): void {
    if (this.used.includes(endpoint.id)) return;
    this.use(endpoint.id);
    if (endpoint.flags & ENDPOINT_FLAG.subflow && endpoint.id !== this.initialEndpoint) this.localAddressesUsed++;
  }

  /**
   * The endpoint can be used again. A subflow endpoint gives back its share of `localAddressesUsed`, unless it is the initial
   * address (__mark_subflow_endp_available).
   */
  release(endpoint: Endpoint): void {
    if (!this.used.includes(endpoint.id)) return;
    this.used = this.used.filter((id) => id !== endpoint.id);
    const counted = endpoint.flags & ENDPOINT_FLAG.subflow && endpoint.id !== this.initialEndpoint;
    if (counted && this.localAddressesUsed > 0) this.localAddressesUsed--;
  }

  /** mptcp_pm_nl_check_work_pending: could a pass find anything? */
  get workLeft(): boolean {
    if (this.extraSubflows === this.limits.subflows) return false;
    for (const endpoint of this.endpoints) if (!this.used.includes(endpoint.id)) return true;
    return false;
  }
}
