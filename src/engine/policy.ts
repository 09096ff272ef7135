import {
  type Address,
  type AddressId,
  AF_INET,
  type Dbm,
  ENDPOINT_FLAG,
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
import type { Parameters, Values } from "./parameters.ts";

/**
 * `creating`: we asked for it, the SYN may be on its way. `arrived`: the peer joined and no plan has judged it yet.
 * `closing`: we asked for its end.
 */
export type SubflowState = "creating" | "arrived" | "established" | "closing";

/** What was measured of a subflow the last time that somebody looked: while something is in doubt, or as often as a policy asks for. */
export interface Measured {
  /** When. */
  readonly at: Millis;
  readonly rtt: Millis;
  readonly rttVar: Millis;
  /** The retransmission timeout, and how often it has doubled since the last acknowledgement. */
  readonly rto: Millis;
  readonly backoff: number;
  /** Segments: on their way, counted as lost, retransmitted in all. */
  readonly unacked: number;
  readonly lost: number;
  readonly retransmits: number;
  readonly bytesSent: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly bytesRetransmitted: number;
  /** Bytes a second, as the kernel takes it from the acknowledgements. */
  readonly deliveryRate: number;
  /** How long something was on its way, of all its life; undefined: not told. */
  readonly busy: Millis | undefined;
  /** When something of the peer's arrived there: an acknowledgement or data. */
  readonly heardAt: Millis;
  /** When data of the peer's arrived there. */
  readonly receivedAt: Millis;
  /** When data were on their way there, of either side. */
  readonly usedAt: Millis;
  /** Since when what is on its way there has led to no answer at all; undefined: nothing is on its way. */
  readonly stuckSince: Millis | undefined;
}

/** How much of what was sent on a subflow, in some seconds, had to be sent again. */
export interface Losses {
  /** 0 to 1. */
  readonly share: number;
  /** When those seconds were over. */
  readonly at: Millis;
}

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
  /** 0: not bound to an interface, or not known. */
  readonly interfaceIndex: number;
  /** Since when it is established; undefined: it is not. */
  readonly since: Millis | undefined;
  /** undefined: nobody has looked yet. */
  readonly measured: Measured | undefined;
  /** What was lost of what was sent there; undefined: too little was sent of late to tell. */
  readonly losses: Losses | undefined;
  /** Its path loses too much: it is backup until then. undefined: it does not. */
  readonly quarantinedUntil: Millis | undefined;
  /** A path that shares an end with its own went silent then, and nothing was heard of it since. undefined: no doubt. */
  readonly doubtedAt: Millis | undefined;
}

/** What is known of a subflow from its beginning. */
export type SubflowFacts = Pick<
  SubflowView,
  "state" | "path" | "localId" | "remoteId" | "join" | "initiated" | "backup"
>;

/** `known`: it may be connected to. `waiting`: routing was asked about it. `refused`: no plan is to use it (admission.ts). */
export type RemoteAddressState = "known" | "waiting" | "refused";

/** Where a subflow can go to: the peer's initial address (id 0), one that it announced, or where another subflow goes to. */
export interface RemotePoint {
  readonly id: AddressId;
  readonly address: Address;
  readonly port: number;
}

/** An address that the peer announced; kept until it removes it. */
export interface RemoteAddressView extends RemotePoint {
  /** The initial subflow's remote port when the ADD_ADDR named none (the kernel does not tell the two apart). */
  readonly port: number;
  readonly state: RemoteAddressState;
  /** What routing would pick as source, once asked for. */
  readonly source: Address | undefined;
}

/** An address of ours that subflows can come from. */
export interface LocalPoint {
  readonly address: Address;
  /** Its endpoint's id; 0: the connection began with it. */
  readonly endpoint: AddressId;
  /** 0: a subflow from here is not bound to an interface. */
  readonly interfaceIndex: number;
  /** Subflows from here ask to be backup, unless the plan says otherwise. */
  readonly backup: boolean;
}

/** How attempts to open a subflow from a local to a remote address ended. */
export interface AttemptView {
  readonly local: Address;
  readonly remote: Address;
  /** In a row; 0: the last was a false alarm. */
  readonly failures: number;
  /** errno of the last one, positive; 0: none was given. */
  readonly errno: number;
  readonly at: Millis;
  /** When the subflow that was there was lost; undefined: there was none yet, or it is there again. */
  readonly lostAt: Millis | undefined;
  /** When the next may be made; Infinity: none, because of `ended`. */
  readonly retryAt: Millis;
  /** Why there will be no other; "": there will. */
  readonly ended: string;
  /** Its path had gone silent: nothing was acknowledged any more, or a probe went without an answer. */
  readonly silent: boolean;
  /** How often that was a false alarm: both ends were heard of at once when it was tried again. */
  readonly falseAlarms: number;
}

/** A local address with a remote one of a matching family: where a subflow can be. */
export interface PairView {
  readonly local: LocalPoint;
  readonly remote: RemotePoint;
  /** Those that it has, without the ones that are closing. */
  readonly subflows: readonly SubflowView[];
  /** undefined: none has failed. */
  readonly attempt: AttemptView | undefined;
  /** Why there can be no subflow now, whoever wants it; "": there can. */
  readonly blocked: string;
}

/** What a policy knows about one connection. Everything in it is the engine's memory: read it during `plan`, keep nothing of it. */
export interface ConnectionView {
  readonly now: Millis;
  readonly token: Token;
  readonly side: Side;
  readonly initial: Path;
  /** Where the connection began: id 0. */
  readonly initialRemote: RemotePoint;
  /** The socket's family; an AF_INET6 one takes IPv4 subflows too. */
  readonly family: Family;
  /** RFC 8684 §3.1, C flag: no join to remote id 0. */
  readonly denyJoinId0: boolean;
  /** The initial one (while it lives) first, then in order of creation. */
  readonly subflows: readonly SubflowView[];
  /** Joins of both directions that are not closing (`extra_subflows`). */
  readonly extraSubflows: number;
  /** Received ADD_ADDRs in order of arrival. */
  readonly remotes: readonly RemoteAddressView[];
  /** The namespace's endpoints in the kernel's list order. */
  readonly endpoints: readonly Endpoint[];
  readonly limits: Limits;
  /** How earlier attempts ended; oldest first. */
  readonly attempts: readonly AttemptView[];
  /** Every address that subflows can come from with every one that they can go to. */
  readonly pairs: readonly PairView[];
  /** The application writes more than the paths carry, as far as was measured; never known of what the peer sends. */
  readonly isFull: boolean;
  /**
   * How strong the Wi-Fi of local addresses is received, in dBm (nl80211: NL80211_STA_INFO_SIGNAL_AVG), by address. What is missing is not known,
   * or no Wi-Fi. Read only where a policy asks for it ({@link Policy.signals}).
   */
  readonly signals: ReadonlyMap<Address, Dbm>;
  /** Addresses announced now (`add_addr_signaled`). */
  readonly addressesAnnounced: number;
  /** How many endpoints carry the flag. */
  countEndpoints(flag: number): number;
  /** What it costs to send from there, in units of the administrator's own; 0: nothing, or nobody has said. What costs less is preferred. */
  costOf(local: Address): number;
  /** Is it the address that the connection began with? It goes by id 0 then. */
  isInitial(endpoint: Endpoint): boolean;
  /** The id that the endpoint has in this connection: 0 for the initial address, another where the kernel had given its own away. */
  localId(endpoint: Endpoint): AddressId;
  /** Was a subflow or an announcement of this endpoint asked for in this connection, by whomever? */
  isListed(endpoint: AddressId): boolean;
  /** Is this endpoint announced to the peer now? */
  isAnnounced(endpoint: AddressId): boolean;
  /** The pair of an endpoint with a remote address; undefined: of different families, or id 0 where the peer denies it. */
  pairOf(endpoint: Endpoint, remote: RemotePoint): OpenPair | undefined;
}

/** Why a policy is asked. */
export type Occasion =
  /** Subflows may be created from here on. `again`: the kernel had said so too early. */
  | { readonly type: "established"; readonly again: boolean }
  /** An ADD_ADDR, also one that repeats another. */
  | { readonly type: "announced"; readonly remote: RemoteAddressView }
  /** An RM_ADDR. `answered`: we had a subflow there. */
  | { readonly type: "removed"; readonly remoteId: AddressId; readonly answered: boolean }
  /** The answer to `ask`; undefined: the announcement was taken back meanwhile. */
  | { readonly type: "routed"; readonly remote: RemoteAddressView | undefined }
  /** A join was completed, ours or the peer's. */
  | { readonly type: "opened"; readonly subflow: SubflowView }
  /** The kernel refused to open it. */
  | { readonly type: "failed"; readonly subflow: SubflowView; readonly errno: number }
  | { readonly type: "closed"; readonly subflow: SubflowView }
  /** It was to be closed as the last one, and stays because its address came back. */
  | { readonly type: "kept"; readonly endpoint: Endpoint }
  | { readonly type: "endpoint.added"; readonly endpoint: Endpoint }
  | { readonly type: "endpoint.deleted"; readonly endpoint: Endpoint }
  /** `changed`: the flags that are different now. */
  | { readonly type: "endpoint.changed"; readonly endpoint: Endpoint; readonly changed: number }
  | { readonly type: "endpoints.flushed" }
  /** The address that connections began with was withdrawn as id 0. */
  | { readonly type: "initial.deleted" }
  | { readonly type: "limits" }
  /** This policy is in charge from now on. */
  | { readonly type: "policy" }
  /** Its subflows were measured ({@link Policy.measures}). */
  | { readonly type: "measured" }
  /** A Wi-Fi signal has crossed one of the policy's bounds, is known now, or no more ({@link Policy.signals}). */
  | { readonly type: "signal" }
  /** Links, addresses or routes of this host have changed. */
  | { readonly type: "network" }
  /** `wakeAt` has come, or something can be tried again. */
  | { readonly type: "wake" }
  /** Nothing has happened: somebody wants to know. */
  | { readonly type: "asked" };

/** Where a subflow is to be opened. */
export interface OpenPair {
  readonly local: LocalPoint;
  readonly remote: RemotePoint;
}

/** A subflow that should be: one that is there, or one more of a pair. `backup`: absent leaves it as it is, or as the endpoint says. */
export type Wanted =
  | { readonly keep: SubflowView; readonly open?: never; readonly backup?: boolean | undefined }
  | { readonly open: OpenPair; readonly keep?: never; readonly backup?: boolean | undefined };

/** Something that a connection could have and has not, and what would change it. */
export interface LeftOut {
  readonly what: "subflow" | "announcement" | "remote" | "pair";
  /** The endpoint's id; for `remote` the id that the peer gave. */
  readonly id: AddressId;
  readonly address: Address;
  /** Of a pair: the other end. */
  readonly remote?: Address | undefined;
  readonly reason: string;
  readonly remedy: string;
}

/** What should be. The engine compares it with what is. */
export interface ConnectionPlan<M = unknown> {
  /** All subflows that should exist, most wanted first. One of the view that is missing is closed, when what replaces it is there. */
  readonly subflows: readonly Wanted[];
  /**
   * Endpoints that the peer should know; absent: those with the flag signal. What was announced stays so until its endpoint goes,
   * because RM_ADDR would close the subflows to it.
   */
  readonly announcements?: readonly Endpoint[] | undefined;
  /** Remote addresses for which routing shall say which source it would pick; the occasion `routed` follows. */
  readonly ask?: readonly RemoteAddressView[] | undefined;
  /** Absent: as it was. */
  readonly memory?: M | undefined;
  /** Ask again then, if nothing happens before; "announceable": when another ADD_ADDR can go out. */
  readonly wakeAt?: Millis | "announceable" | undefined;
}

/**
 * Decides for one connection at a time. Pure: same view, memory, occasion and values, same plan.
 *
 * A plan is a wish. What all policies share is the engine's: address ids, the pace of announcements, limits, trying again,
 * never closing the last subflow, opening before closing, telling why.
 */
export interface Policy<M = unknown, P extends Parameters = Parameters> {
  readonly name: string;
  /** One line, for people: what it is for. */
  readonly about?: string;
  /** What of it can be set; absent: nothing. */
  readonly parameters?: P;
  /**
   * `persistently` (default): what is wanted and missing is tried again, within the limits. `once`: the policy keeps limits and paces
   * announcements itself; each wish is carried out at once, and once.
   */
  readonly tries?: "once" | "persistently";
  /**
   * How often its connections are to be measured, in milliseconds, also those with a single subflow; absent: only while something is in doubt.
   */
  readonly measures?: Millis;
  /** The same, where it depends on the parameters. */
  measuresWith?(values: Values<P>): Millis | undefined;
  /**
   * Bounds of Wi-Fi signals, in dBm: {@link ConnectionView.signals} is read, once a second, and the policy is asked when one crosses a bound; absent or
   * empty: it does not look at them.
   */
  readonly signals?: readonly Dbm[];
  /** The same, where they depend on the parameters. */
  signalsWith?(values: Values<P>): readonly Dbm[];
  /** Its memory of one connection: plain, immutable data. Asked when the connection begins, is found at start, or changes its policy. */
  begin?(view: ConnectionView): M;
  plan(view: ConnectionView, memory: M, occasion: Occasion, values: Values<P>): ConnectionPlan<M>;
  /** Of what is possible and absent, why, as far as only the policy can know. Asked for by `subflow why` only. */
  explain?(view: ConnectionView, memory: M): readonly LeftOut[];
  /** What it holds against a local address now, in words; "": nothing. Asked for by `subflow why` only. */
  objection?(view: ConnectionView, local: Address, values: Values<P>): string;
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

/** Is the endpoint one to be announced? */
export function isSignal({ flags }: Endpoint): boolean {
  return (flags & ENDPOINT_FLAG.signal) !== 0;
}

/** How attempts between two addresses ended; undefined: none has failed. */
export function attemptOf(attempts: readonly AttemptView[], local: Address, remote: Address): AttemptView | undefined {
  return attempts.find((attempt) => sameAddress(attempt.local, local) && sameAddress(attempt.remote, remote));
}
