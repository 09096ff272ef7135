import {
  type Address,
  type AddressId,
  AF_INET,
  type Endpoint,
  type Family,
  familyOf,
  type Limits,
  type Millis,
  type Path,
  type Side,
  type SocketAddress,
  sameAddress,
  type Token,
  unmap,
} from "../types/index.ts";

/**
 * `creating`: we asked for it, the SYN may be on its way. `arrived`: the peer joined and no plan has judged it yet.
 * `closing`: we asked for its end.
 */
export type SubflowState = "creating" | "arrived" | "established" | "closing";

/** One subflow, as a policy sees it. */
export interface SubflowView {
  readonly state: SubflowState;
  /** Local port 0 while we created it and the kernel has not told the port. */
  readonly path: Path;
  readonly localId: AddressId;
  readonly remoteId: AddressId;
  /** False for the initial subflow. */
  readonly join: boolean;
  /** We opened it. */
  readonly initiated: boolean;
  /** We asked the peer to treat it as backup. */
  readonly backup: boolean;
  /** The peer asked us. */
  readonly backupByPeer: boolean;
}

/**
 * `new`: no plan has served it yet. `waiting`: for the answer to a route query. `served`: used or turned down. `refused`: no plan is
 * to use it (admission.ts).
 */
export type RemoteAddressState = "new" | "waiting" | "served" | "refused";

/** An address that the peer announced; kept until it removes it. */
export interface RemoteAddressView {
  readonly id: AddressId;
  readonly address: Address;
  /** The initial subflow's remote port when the ADD_ADDR named none (the kernel does not tell the two apart). */
  readonly port: number;
  readonly state: RemoteAddressState;
  /** What routing would pick as source, once asked for. */
  readonly source: Address | undefined;
}

/** What a policy knows about one connection. Everything in it is the engine's memory: read it during `plan`, keep nothing of it. */
export interface ConnectionView {
  readonly token: Token;
  readonly side: Side;
  readonly initial: Path;
  /** The socket's family; an AF_INET6 one takes IPv4 subflows too. */
  readonly family: Family;
  /** RFC 8684 §3.1, C flag: no join to remote id 0. */
  readonly denyJoinId0: boolean;
  /** The initial one (while it lives) first, then in order of creation. */
  readonly subflows: readonly SubflowView[];
  /** Received ADD_ADDRs in order of arrival. */
  readonly remotes: readonly RemoteAddressView[];
  /** The namespace's endpoints in the kernel's list order. */
  readonly endpoints: readonly Endpoint[];
  readonly limits: Limits;
  /** Joins of both directions that are not closing (`extra_subflows`). */
  readonly extraSubflows: number;
  /** Subflow endpoints used up, the initial one's not counted (`local_addr_used`). */
  readonly localAddressesUsed: number;
  /** Addresses announced now (`add_addr_signaled`). */
  readonly addressesAnnounced: number;
  /** Received announcements that led to subflows (`add_addr_accepted`). */
  readonly addressesAccepted: number;
  /** The endpoint whose address is the initial subflow's local one; 0: none (`mpc_endpoint_id`). */
  readonly initialEndpoint: AddressId;
  /** Nothing was left to do when a plan looked last, so joins and echoes are no reason to look again (the kernel's `!work_pending`). */
  readonly settled: boolean;
  /** The kernel's `accept_addr` and `accept_subflow`: cached by it, so by us. */
  readonly acceptsAddresses: boolean;
  readonly acceptsSubflows: boolean;
  /** This is an occasion at which the kernel would go through its endpoints (`mptcp_pm_create_subflow_or_signal_addr`). */
  readonly passDue: boolean;
  /** How earlier attempts ended; oldest first. */
  readonly attempts: readonly AttemptView[];
  /** How many endpoints carry the flag. */
  countEndpoints(flag: number): number;
  /** The id that the endpoint has in this connection: 0 for the initial address, another where the kernel had given its own away. */
  localId(endpoint: Endpoint): AddressId;
  /** Was this endpoint used (announced or connected from) in this connection? (`!id_avail_bitmap[id]`) */
  isUsed(endpoint: AddressId): boolean;
  /** Is this endpoint announced to the peer now? */
  isAnnounced(endpoint: AddressId): boolean;
}

/** How the last attempt from a local to a remote address ended. */
export interface AttemptView {
  readonly local: Address;
  readonly remote: Address;
  readonly failures: number;
  /** errno of the last one, positive; 0: none was given. */
  readonly errno: number;
  readonly at: Millis;
}

/** A subflow that should exist and does not. */
export interface PlannedSubflow {
  readonly state: "planned";
  /** The endpoint it uses up; 0: none. */
  readonly endpoint: AddressId;
  readonly local: Address;
  readonly localId: AddressId;
  readonly interfaceIndex: number;
  readonly remote: SocketAddress;
  readonly remoteId: AddressId;
  readonly backup: boolean;
  /** The id of the announcement that it answers; -1: none. */
  readonly answers: number;
}

/** An address that should be announced and is not. */
export interface PlannedAnnouncement {
  readonly endpoint: AddressId;
  readonly localId: AddressId;
  readonly address: Address;
  readonly port: number;
  readonly backup: boolean;
}

/** Something that a connection could have and has not, and what would change it. */
export interface LeftOut {
  readonly what: "subflow" | "announcement" | "remote";
  /** The endpoint's id; for `remote` the id that the peer gave. */
  readonly id: AddressId;
  readonly address: Address;
  readonly reason: string;
  readonly remedy: string;
}

/** What should be. The engine compares it with what is. */
export interface ConnectionPlan {
  /** All subflows that should exist: those of the view that stay, and new ones in order of creation. One that is missing is destroyed. */
  readonly subflows: readonly (SubflowView | PlannedSubflow)[];
  /** New announcements; what is announced stays so until its endpoint goes. */
  readonly announcements: readonly PlannedAnnouncement[];
  /** Endpoints that are used up by this plan, whatever comes of it. */
  readonly spent: readonly AddressId[];
  /** Remote addresses dealt with by this plan, and whether they led to subflows. */
  readonly served: readonly { readonly remote: RemoteAddressView; readonly accepted: boolean }[];
  /** Remote addresses for which routing must say the source address first. A pass that was due is due again after the answer. */
  readonly queries: readonly RemoteAddressView[];
  /** The next values of the view's fields of the same names. */
  readonly localAddressesUsed: number;
  readonly settled: boolean;
  readonly acceptsAddresses: boolean;
  readonly acceptsSubflows: boolean;
}

/** Decides for one connection at a time. Stateless and pure: same view, same plan. */
export interface Policy {
  readonly name: string;
  /**
   * What it plans for a connection that was just established, and about which the peer has said nothing yet, depends on the local
   * address and the families alone, not on token, ports and the peer's address: it can be asked beforehand.
   */
  readonly foreseeable: boolean;
  plan(view: ConnectionView): ConnectionPlan;
  /** For each subflow or announcement that is possible and absent, why. Asked for by `subflow why` only. */
  explain(view: ConnectionView): readonly LeftOut[];
}

/** Same address and port, v4-mapped counting as v4. */
export function sameSocketAddress(a: SocketAddress, b: SocketAddress): boolean {
  return a.port === b.port && sameAddress(a.address, b.address);
}

/** The 4-tuples are the same; a local port that is not known yet (0) matches any. */
export function samePath(a: Path, b: Path): boolean {
  return (
    sameSocketAddress(a.remote, b.remote) &&
    sameAddress(a.local.address, b.local.address) &&
    (a.local.port === b.local.port || a.local.port === 0 || b.local.port === 0)
  );
}

/** mptcp_pm_addr_families_match: both of one family, v4-mapped counting as v4, and not IPv6 in an AF_INET connection. */
export function familiesMatch(family: Family, local: Address, remote: Address): boolean {
  const localIsV4 = familyOf(unmap(local)) === AF_INET;
  const remoteIsV4 = familyOf(unmap(remote)) === AF_INET;
  return family === AF_INET ? localIsV4 && remoteIsV4 : localIsV4 === remoteIsV4;
}
