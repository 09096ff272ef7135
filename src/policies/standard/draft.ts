import type {
  ConnectionPlan,
  ConnectionView,
  OpenPair,
  RemoteAddressView,
  RemotePoint,
  Wanted,
} from "../../engine/index.ts";
import type { AddressId, Endpoint } from "../../types/index.ts";
import { type Memory, Registers } from "./memory.ts";

const NONE: readonly never[] = Object.freeze([]);

/** A plan in the making: the kernel's registers as they would be after each step of it. */
export class Draft {
  readonly view: ConnectionView;
  readonly registers: Registers;
  readonly wanted: Wanted[] = [];
  announcements: readonly Endpoint[] = NONE;
  ask: readonly RemoteAddressView[] = NONE;
  extraSubflows: number;

  constructor(view: ConnectionView, memory: Memory) {
    this.view = view;
    this.registers = new Registers(memory);
    this.extraSubflows = view.extraSubflows;
    for (const subflow of view.subflows) {
      if (subflow.state === "closing") continue;
      if (subflow.state === "arrived" && !this.admits()) this.extraSubflows--;
      else this.wanted.push({ keep: subflow });
    }
  }

  /** The local id of a subflow that is there, or to come. */
  localIdOf({ keep, open }: Wanted): AddressId {
    if (keep) return keep.localId;
    const endpoint = this.view.endpoints.find(({ id }) => id === open.local.endpoint);
    return endpoint ? this.view.localId(endpoint) : 0;
  }

  /** Where it goes to. */
  remoteOf({ keep, open }: Wanted): RemotePoint {
    if (open) return open.remote;
    // Where the connection began is the engine's to know: a plan that does not look can be foreseen.
    return keep.join ? { id: keep.remoteId, ...keep.path.remote } : this.view.initialRemote;
  }

  get isFull(): boolean {
    return this.extraSubflows >= this.view.limits.subflows;
  }

  /** fill_remote_addr: plans one subflow from an endpoint, unless the families differ or the peer denies id 0. */
  connect(local: Endpoint, remote: RemotePoint): boolean {
    const open = this.view.pairOf(local, remote);
    if (open) this.open(open);
    return open !== undefined;
  }

  open(open: OpenPair): void {
    this.extraSubflows++;
    this.wanted.push({ open });
  }

  plan(): ConnectionPlan<Memory> {
    const { wanted, announcements, ask, registers } = this;
    return {
      subflows: wanted,
      announcements,
      ask,
      memory: registers.memory,
      wakeAt: registers.settled ? undefined : "announceable",
    };
  }

  /** mptcp_pm_allow_new_subflow; the newcomer is counted already. */
  private admits(): boolean {
    const { subflows } = this.view.limits;
    if (!this.registers.acceptsSubflows || this.extraSubflows > subflows) return false;
    if (this.extraSubflows === subflows) this.registers.acceptsSubflows = false;
    return true;
  }
}

/** mptcp_pm_add_addr_c_flag_case: the peer denies joins to its initial address and nothing was configured for that. */
export function isCFlagCase({ view, registers, isFull }: Draft): boolean {
  return view.denyJoinId0 && registers.localAddressesUsed === 0 && view.limits.addAddrAccepted === 0 && !isFull;
}

/** select_local_address, select_signal_address: the first in list order that has the flag and was not used. */
export function nextUnused(draft: Draft, flag: number): Endpoint | undefined {
  for (const endpoint of draft.view.endpoints) {
    if (endpoint.flags & flag && !draft.registers.isUsed(endpoint.id)) return endpoint;
  }
  return undefined;
}
