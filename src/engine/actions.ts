import type { Address, AddressId, Path, SocketAddress, Token } from "../types/index.ts";
import type { GivenValues } from "./parameters.ts";
import type { PlainOccasion, PlainView } from "./remote/plain.ts";
import type { Need } from "./rules/matching.ts";

/** Names one action of one engine; counts up from 1, never given twice. */
export type ActionId = number;

/**
 * Everything the engine asks of the world, in plain JSON, imperative.
 *
 * What one `handle()` returns is run in that order, in one netlink send where it is netlink (so REMOVE goes before DESTROY,
 * and the peer's answer cannot come between them). Each outcome comes back as `action.done` or `action.failed` with the same action,
 * except `command.answer`, `policy.report`, `owner.query` (`connection.owner`), `policy.ask` (`policy.planned`) and `kernel.resync` / `connection.inspect` (answered by `kernel.snapshot` / `connection.observed`).
 */
export type Action =
  | SubflowCreate
  | SubflowDestroy
  | SubflowSetBackup
  | AddressAnnounce
  | AddressRemove
  | RouteQuery
  | ListenerOpen
  | ListenerClose
  | ConnectionInspect
  | KernelResync
  | CommandAnswer
  | PolicyReport
  | OwnerQuery
  | PolicyAsk;

interface ActionBase {
  readonly id: ActionId;
}

/** MPTCP_PM_CMD_SUBFLOW_CREATE. */
export interface SubflowCreate extends ActionBase {
  readonly type: "subflow.create";
  readonly token: Token;
  /** port 0: the kernel chooses. */
  readonly local: SocketAddress;
  readonly localId: AddressId;
  /** 0: not bound to an interface. */
  readonly interfaceIndex: number;
  readonly remote: SocketAddress;
  readonly remoteId: AddressId;
  /** Ask the peer to treat it as backup (B in the MP_JOIN SYN). */
  readonly backup: boolean;
}

/** MPTCP_PM_CMD_SUBFLOW_DESTROY. */
export interface SubflowDestroy extends ActionBase {
  readonly type: "subflow.destroy";
  readonly token: Token;
  /** In the family in which the kernel reported it. */
  readonly path: Path;
}

/** MPTCP_PM_CMD_SET_FLAGS with a token: MP_PRIO to the peer. */
export interface SubflowSetBackup extends ActionBase {
  readonly type: "subflow.setBackup";
  readonly token: Token;
  readonly path: Path;
  readonly backup: boolean;
}

/** MPTCP_PM_CMD_ANNOUNCE (flags: signal). */
export interface AddressAnnounce extends ActionBase {
  readonly type: "address.announce";
  readonly token: Token;
  readonly localId: AddressId;
  readonly address: Address;
  /** 0: none, the port of the initial subflow. */
  readonly port: number;
  /** Joins of the peer to it get B in our SYN/ACK. */
  readonly backup: boolean;
}

/** MPTCP_PM_CMD_REMOVE. */
export interface AddressRemove extends ActionBase {
  readonly type: "address.remove";
  readonly token: Token;
  readonly localId: AddressId;
}

/** RTM_GETROUTE: which source address would routing pick for this remote? Answered by `action.done` with `source`. */
export interface RouteQuery extends ActionBase {
  readonly type: "route.query";
  readonly token: Token;
  readonly remoteId: AddressId;
  readonly remote: SocketAddress;
}

/** Open an MPTCP listener that accepts joins only, before its endpoint is announced. */
export interface ListenerOpen extends ActionBase {
  readonly type: "listener.open";
  readonly local: SocketAddress;
}

/** Close what `listener.open` opened. */
export interface ListenerClose extends ActionBase {
  readonly type: "listener.close";
  readonly local: SocketAddress;
}

/** Look at one connection (sock_diag, GET_ADDR); answered by `connection.observed`. */
export interface ConnectionInspect extends ActionBase {
  readonly type: "connection.inspect";
  readonly token: Token;
  /** Where its subflows should be: sock_diag finds a socket by its 4-tuple and interface, not by its token. */
  readonly subflows: readonly {
    /** Local port 0: not known yet. */
    readonly path: Path;
    /** 0: not bound to an interface. */
    readonly interfaceIndex: number;
  }[];
}

/** Dump everything; answered by `kernel.snapshot`. */
export interface KernelResync extends ActionBase {
  readonly type: "kernel.resync";
}

/** The answer to a `command.received`. */
export interface CommandAnswer extends ActionBase {
  readonly type: "command.answer";
  readonly request: number;
  /** 0: done; else positive, as the kernel would have answered. */
  readonly errno: number;
  /** The text of the kernel's extended ACK, "" where it gives none. */
  readonly message: string;
}

/** Ask a policy in another process; answered by `policy.planned` of the same version, later or never. */
export interface PolicyAsk extends ActionBase {
  readonly type: "policy.ask";
  readonly token: Token;
  readonly policy: string;
  /** Counts up for a connection: answers to earlier ones are late. */
  readonly version: number;
  readonly view: PlainView;
  readonly occasion: PlainOccasion;
  /** As the policy gave it the last time; undefined: it has not. */
  readonly memory: unknown;
  /** Parameters as somebody wrote them. */
  readonly given: GivenValues;
}

/** Find out whose connection it is, because a rule asks; answered by `connection.owner`, for `process` some time later. */
export interface OwnerQuery extends ActionBase {
  readonly type: "owner.query";
  readonly token: Token;
  readonly needs: Need;
  readonly path: Path;
}

/** Tell the administrator that a policy threw or planned nonsense; once per connection and policy. */
export interface PolicyReport extends ActionBase {
  readonly type: "policy.report";
  readonly token: Token;
  readonly policy: string;
  readonly reason: string;
}
