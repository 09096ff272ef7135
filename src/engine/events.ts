import type {
  Address,
  AddressId,
  Connection,
  ConnectionReading,
  Dbm,
  Endpoint,
  Limits,
  Path,
  Side,
  Token,
} from "../types/index.ts";
import type { Action } from "./actions.ts";
import type { RemoteAddressRules } from "./admission.ts";
import type { Command, EndpointRequest } from "./commands.ts";
import type { Delay } from "./delay.ts";
import type { GivenValues } from "./parameters.ts";
import type { RemotePlan, RemotePolicy } from "./remote/plain.ts";
import type { Owner, Rule } from "./rules/rule.ts";

/**
 * Everything that can happen to the engine, in plain JSON, past tense, so that a run can be recorded and replayed exactly.
 *
 * Addresses are as the kernel reports them (v4-mapped kept: it tells an AF_INET6 socket), ports in host order.
 *
 * Order: hand events over in the order of the kernel, with one exception. When one batch of datagrams holds
 * `connection.established` and directly behind it (same token) `address.announced`, hand over the announcement first: the kernel's
 * worker serves a received ADD_ADDR before the establishment (mptcp_pm_worker), and the limits go to who comes first.
 * An announcement for a connection not yet established is kept and served at its establishment.
 */
export type EngineEvent =
  | ConnectionCreated
  | ConnectionEstablished
  | ConnectionClosed
  | SubflowEstablished
  | SubflowClosed
  | SubflowPriority
  | AddressAnnounced
  | AddressRemoved
  | KernelOverrun
  | KernelSnapshot
  | ConnectionObserved
  | ConnectionMeasured
  | ConnectionCounted
  | ActionDone
  | ActionFailed
  | CommandReceived
  | ConfigChanged
  | HostAddresses
  | HostSignals
  | ConnectionOwner
  | PolicyPlanned
  | PoliciesChanged
  | NetworkChanged
  | Tick;

interface ConnectionFacts {
  readonly token: Token;
  readonly side: Side;
  /** The 4-tuple of the initial subflow. */
  readonly path: Path;
  /** The peer's C flag (RFC 8684 §3.1): no join to its initial address. */
  readonly denyJoinId0: boolean;
}

/** MPTCP_EVENT_CREATED. */
export interface ConnectionCreated extends ConnectionFacts {
  readonly type: "connection.created";
}

/** MPTCP_EVENT_ESTABLISHED: subflows may be created from here on. Carries all of `created`, so that a lost one does no harm. */
export interface ConnectionEstablished extends ConnectionFacts {
  readonly type: "connection.established";
}

/** MPTCP_EVENT_CLOSED: no `subflow.closed` comes for what was left. */
export interface ConnectionClosed {
  readonly type: "connection.closed";
  readonly token: Token;
}

/** MPTCP_EVENT_SUB_ESTABLISHED. */
export interface SubflowEstablished {
  readonly type: "subflow.established";
  readonly token: Token;
  readonly path: Path;
  readonly localId: AddressId;
  readonly remoteId: AddressId;
  /** The peer asked us to treat it as backup. */
  readonly backup: boolean;
  readonly interfaceIndex?: number | undefined;
}

/** MPTCP_EVENT_SUB_CLOSED; may come for a subflow never established, or repeatedly. */
export interface SubflowClosed {
  readonly type: "subflow.closed";
  readonly token: Token;
  readonly path: Path;
  readonly localId: AddressId;
  readonly remoteId: AddressId;
  /** errno of the socket, positive; undefined or 0: closed by FIN. */
  readonly errno?: number | undefined;
  /** RFC 8684 §3.6 reason code of a received MP_TCPRST. */
  readonly resetReason?: number | undefined;
  readonly resetFlags?: number | undefined;
}

/** MPTCP_EVENT_SUB_PRIORITY: the peer sent MP_PRIO. */
export interface SubflowPriority {
  readonly type: "subflow.priority";
  readonly token: Token;
  readonly path: Path;
  readonly localId: AddressId;
  readonly remoteId: AddressId;
  readonly backup: boolean;
}

/** MPTCP_EVENT_ANNOUNCED: each ADD_ADDR received, repetitions included. */
export interface AddressAnnounced {
  readonly type: "address.announced";
  readonly token: Token;
  readonly remoteId: AddressId;
  readonly address: Address;
  /** The subflow's own remote port when the ADD_ADDR had none: the kernel does not tell the two apart. */
  readonly port: number;
}

/** MPTCP_EVENT_REMOVED: one id of an RM_ADDR; the kernel closes the subflows itself. */
export interface AddressRemoved {
  readonly type: "address.removed";
  readonly token: Token;
  readonly remoteId: AddressId;
}

/** Events were lost (ENOBUFS). Answered with the action `kernel.resync`. */
export interface KernelOverrun {
  readonly type: "kernel.overrun";
}

/** One connection as the kernel shows it: sock_diag, and its own list of local addresses. */
export interface ObservedConnection {
  readonly connection: Connection;
  /** GET_ADDR dump with the token: what the kernel holds as (id, address, port, flags); empty where it cannot be asked. */
  readonly localAddresses: readonly Endpoint[];
}

/** Every connection of the namespace: at start, after an overrun, and from the slow audit. What it lacks is gone. */
export interface KernelSnapshot {
  readonly type: "kernel.snapshot";
  readonly connections: readonly ObservedConnection[];
}

/** Answer to the action `connection.inspect`. */
export interface ConnectionObserved {
  readonly type: "connection.observed";
  readonly token: Token;
  /** undefined: there is no such connection (any more). */
  readonly observed?: ObservedConnection | undefined;
}

/** What the kernel measures of a connection that was looked at ({@link Engine.watched}). */
export interface ConnectionMeasured extends ConnectionReading {
  readonly type: "connection.measured";
  /** It was looked at because what came in steadily, to whichever connection, has stopped. */
  readonly isQuiet: boolean;
}

/** How many bytes a connection has carried, to and fro, that was to be counted ({@link Engine.waiting}). */
export interface ConnectionCounted {
  readonly type: "connection.counted";
  readonly token: Token;
  readonly bytes: number;
}

/** The kernel took an action. For `subflow.create` it means only that the SYN went out. */
export interface ActionDone {
  readonly type: "action.done";
  readonly action: Action;
  /** For `route.query`: the source address that routing would pick. */
  readonly source?: Address | undefined;
}

/** The kernel (or the host: route, listener) refused an action. */
export interface ActionFailed {
  readonly type: "action.failed";
  readonly action: Action;
  /** Positive. */
  readonly errno: number;
  /** The kernel's own text (extended ACK), "" where it gave none. */
  readonly message: string;
}

/** Somebody asked through the control socket. Answered with the action `command.answer` of the same request. */
export interface CommandReceived {
  readonly type: "command.received";
  /** Chosen by the caller, any number; comes back in the answer. */
  readonly request: number;
  readonly command: Command;
}

/** The configuration was read, at start or again: the endpoints and limits that it wants. Equal endpoints keep their ids and connections. */
export interface ConfigChanged {
  readonly type: "config.changed";
  /** undefined: leave the table as it is. */
  readonly endpoints?: readonly EndpointRequest[] | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** Name of one of the policies given to the engine; with it what of its parameters is given, and from when on connections get subflows. */
  readonly policy?: string | undefined;
  readonly given?: GivenValues | undefined;
  readonly delay?: Delay | undefined;
  /** With `policy`: the first that matches says how a connection is treated; those whose time it is not left out. */
  readonly rules?: readonly Rule[] | undefined;
  /** Connections that there are stay as they are. */
  readonly onlyNew?: boolean | undefined;
  /** Which announced addresses may be connected to; undefined: as before. */
  readonly remoteAddresses?: RemoteAddressRules | undefined;
}

/** The addresses of this host, all of them: at start, and whenever one came or went. */
export interface HostAddresses {
  readonly type: "host.addresses";
  readonly addresses: readonly Address[];
  /** Those of them where what is sent costs money; undefined: none. */
  readonly metered?: readonly Address[] | undefined;
  /** What it costs to send from them, those that cost something; undefined: none does. */
  readonly costs?: ReadonlyMap<Address, number> | undefined;
  /** Names of interfaces by these addresses; undefined: as before. */
  readonly interfaceNames?: ReadonlyMap<Address, string> | undefined;
}

/** How strong this host's Wi-Fi interfaces receive what they are connected to: only while {@link Engine.signals} asks, and where it has changed. */
export interface HostSignals {
  readonly type: "host.signals";
  /** By local address, of all that is known. */
  readonly signals: ReadonlyMap<Address, Dbm>;
}

/** Answer to the action `policy.ask`. */
export interface PolicyPlanned {
  readonly type: "policy.planned";
  readonly token: Token;
  readonly version: number;
  /** undefined: it has none, because of `fault`. */
  readonly plan: RemotePlan | undefined;
  readonly fault: string;
}

/** Which policies there are in other processes, and which of those answer. */
export interface PoliciesChanged {
  readonly type: "policies.changed";
  readonly elsewhere: readonly RemotePolicy[];
}

/** Answer to the action `owner.query`. */
export interface ConnectionOwner {
  readonly type: "connection.owner";
  readonly token: Token;
  readonly owner: Owner;
}

/** Links, addresses or routes of this host have changed: what could not be reached may be now. */
export interface NetworkChanged {
  readonly type: "network.changed";
}

/** Time has passed: `Engine.nextTick` was reached. */
export interface Tick {
  readonly type: "tick";
}
