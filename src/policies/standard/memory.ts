import type { ConnectionView } from "../../engine/index.ts";
import { type AddressId, ENDPOINT_FLAG, type Endpoint, sameAddress } from "../../types/index.ts";

const { signal, subflow } = ENDPOINT_FLAG;

/** What the in-kernel path manager remembers of one connection (struct mptcp_pm_data), in its words. */
export interface Memory {
  /** Endpoints used once, whatever came of it (the zeros of `id_avail_bitmap`). */
  readonly used: readonly AddressId[];
  /** Subflow endpoints used up, the initial one's not counted (`local_addr_used`). */
  readonly localAddressesUsed: number;
  /** Received announcements that led to subflows (`add_addr_accepted`). */
  readonly addressesAccepted: number;
  /** The initial address was looked up among the endpoints (MPTCP_PM_MPC_ENDPOINT_ACCOUNTED). */
  readonly accounted: boolean;
  /** The endpoint whose address is the initial subflow's local one; 0: none (`mpc_endpoint_id`). */
  readonly initialEndpoint: AddressId;
  /** Nothing was left to do when a pass looked last, so joins and echoes are no reason to look again (`!work_pending`). */
  readonly settled: boolean;
  /** `accept_addr`, `accept_subflow`. */
  readonly acceptsAddresses: boolean;
  readonly acceptsSubflows: boolean;
  /** A pass was due while routing was asked about an announcement, which comes first: it follows the answer. */
  readonly passOwed: boolean;
}

/** mptcp_pm_kernel_init: what the limits are now decides for the whole connection. Of one that was found, what can be told. */
export function begin(view: ConnectionView): Memory {
  const { subflows, addAddrAccepted } = view.limits;
  const hasRoom = subflows > 0 && view.extraSubflows < subflows;
  const settled = !((subflows > 0 && view.countEndpoints(subflow) > 0) || view.countEndpoints(signal) > 0);
  let used: readonly Endpoint[] = NONE;
  for (const endpoint of view.endpoints) if (view.isListed(endpoint.id)) used = used.concat(endpoint);
  const addressesAccepted = view.extraSubflows === 0 ? 0 : answered(view);
  return shared({
    used: used.length === 0 ? NONE : used.map(({ id }) => id),
    localAddressesUsed: used.length === 0 ? 0 : used.filter(({ flags }) => flags & subflow).length,
    addressesAccepted,
    accounted: false,
    initialEndpoint: 0,
    settled,
    acceptsAddresses: hasRoom && addressesAccepted < addAddrAccepted,
    acceptsSubflows: hasRoom,
    passOwed: false,
  });
}

const NONE: readonly never[] = Object.freeze([]);

/** Connections of a host are alike: one object for all that are in the same state. A few kinds of them, the oldest makes room. */
const KINDS = 4;
const kinds: Memory[] = [];
let nextKind = 0;

function shared(memory: Memory): Memory {
  for (const kind of kinds) if (isSame(memory, kind) && isSameList(memory.used, kind.used)) return kind;
  kinds[nextKind] = memory;
  nextKind = (nextKind + 1) % KINDS;
  return memory;
}

function isSameList(a: readonly AddressId[], b: readonly AddressId[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** Except for `used`. */
function isSame(a: Memory, b: Memory): boolean {
  return (
    a.localAddressesUsed === b.localAddressesUsed &&
    a.addressesAccepted === b.addressesAccepted &&
    a.accounted === b.accounted &&
    a.initialEndpoint === b.initialEndpoint &&
    a.settled === b.settled &&
    a.acceptsAddresses === b.acceptsAddresses &&
    a.acceptsSubflows === b.acceptsSubflows &&
    a.passOwed === b.passOwed
  );
}

/** To how many announced addresses we have opened subflows. */
function answered({ subflows, initialRemote }: ConnectionView): number {
  const ids = new Set<AddressId>();
  for (const { join, initiated, remoteId, path } of subflows) {
    if (!join || !initiated || remoteId === 0) continue;
    if (!sameAddress(path.remote.address, initialRemote.address)) ids.add(remoteId);
  }
  return ids.size;
}

/** A memory while it changes. */
export class Registers implements Memory {
  private readonly before: Memory;
  used: readonly AddressId[];
  localAddressesUsed: number;
  addressesAccepted: number;
  accounted: boolean;
  initialEndpoint: AddressId;
  settled: boolean;
  acceptsAddresses: boolean;
  acceptsSubflows: boolean;
  passOwed: boolean;

  constructor(memory: Memory) {
    this.before = memory;
    this.used = memory.used;
    this.localAddressesUsed = memory.localAddressesUsed;
    this.addressesAccepted = memory.addressesAccepted;
    this.accounted = memory.accounted;
    this.initialEndpoint = memory.initialEndpoint;
    this.settled = memory.settled;
    this.acceptsAddresses = memory.acceptsAddresses;
    this.acceptsSubflows = memory.acceptsSubflows;
    this.passOwed = memory.passOwed;
  }

  isUsed(endpoint: AddressId): boolean {
    return this.used.includes(endpoint);
  }

  haveUsed(endpoints: readonly Endpoint[]): boolean {
    for (const { id } of endpoints) if (!this.isUsed(id)) return false;
    return true;
  }

  /** Used up, and not counted. */
  spend(endpoint: AddressId): void {
    if (!this.isUsed(endpoint)) this.used = this.used.concat(endpoint);
  }

  /** A subflow endpoint is used up; the initial address's does not count. */
  consume({ id }: Endpoint): void {
    this.spend(id);
    if (id !== this.initialEndpoint) this.localAddressesUsed++;
  }

  /** A subflow from the endpoint stays after all: what {@link release} gave back is taken again. */
  use(endpoint: Endpoint): void {
    if (this.isUsed(endpoint.id)) return;
    if (endpoint.flags & subflow) this.consume(endpoint);
    else this.spend(endpoint.id);
  }

  /** The endpoint can be used again, and gives back its share (__mark_subflow_endp_available). */
  release({ id, flags }: Endpoint): void {
    if (!this.isUsed(id)) return;
    this.forget(id);
    const isCounted = flags & subflow && id !== this.initialEndpoint;
    if (isCounted && this.localAddressesUsed > 0) this.localAddressesUsed--;
  }

  forget(endpoint: AddressId): void {
    if (this.isUsed(endpoint)) this.used = this.used.filter((id) => id !== endpoint);
  }

  /** The kernel keeps its mpc_endpoint_id here, and takes the next endpoint of that number for the initial address. We do not. */
  flush(): void {
    this.used = [];
    this.localAddressesUsed = 0;
    this.initialEndpoint = 0;
  }

  /** Cut loose; undefined: nothing has changed. */
  get memory(): Memory | undefined {
    if (this.used === this.before.used && isSame(this, this.before)) return undefined;
    const { used, localAddressesUsed, addressesAccepted, accounted, initialEndpoint } = this;
    const { settled, acceptsAddresses, acceptsSubflows, passOwed } = this;
    // biome-ignore format: one shape, in the interface's order
    return shared({ used, localAddressesUsed, addressesAccepted, accounted, initialEndpoint, settled, acceptsAddresses, acceptsSubflows, passOwed });
  }
}
