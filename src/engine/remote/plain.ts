import type { Address, AddressId, Dbm, Endpoint, Millis } from "../../types/index.ts";
import type { ConnectionView, LocalPoint, Occasion, RemotePoint } from "../policy.ts";

/** An endpoint with what it is in one connection. */
export interface PlainEndpoint extends Endpoint {
  readonly isInitial: boolean;
  readonly localId: AddressId;
  readonly isListed: boolean;
  readonly isAnnounced: boolean;
  /** What it costs to send from there. */
  readonly cost: number;
}

/** A pair; subflows and attempt by their places in the view's lists. */
export interface PlainPair {
  readonly local: LocalPoint;
  readonly remote: RemotePoint;
  readonly subflows: readonly number[];
  readonly attempt: number | null;
  readonly blocked: string;
}

/** A {@link ConnectionView} as plain JSON, for a policy in another process. */
export interface PlainView
  extends Pick<
    ConnectionView,
    | "now"
    | "token"
    | "side"
    | "initial"
    | "initialRemote"
    | "family"
    | "denyJoinId0"
    | "subflows"
    | "extraSubflows"
    | "remotes"
    | "limits"
    | "attempts"
    | "isFull"
    | "addressesAnnounced"
  > {
  readonly endpoints: readonly PlainEndpoint[];
  readonly pairs: readonly PlainPair[];
  /** By local address. */
  readonly signals: Readonly<Record<Address, Dbm>>;
}

/** An {@link Occasion}; subflows, remotes and endpoints by their places in the view's lists, null where they are in none any more. */
export interface PlainOccasion {
  readonly type: Occasion["type"];
  readonly subflow?: number | null;
  readonly remote?: number | null;
  readonly endpoint?: number | null;
  readonly [fact: string]: string | number | boolean | null | undefined;
}

/** A plan from another process: subflows that stay by their places in the view that it was given. */
export interface RemotePlan {
  readonly subflows: readonly {
    readonly keep?: number | undefined;
    readonly open?: { readonly local: LocalPoint; readonly remote: RemotePoint } | undefined;
    readonly backup?: boolean | undefined;
  }[];
  /** Ids of endpoints. */
  readonly announcements?: readonly AddressId[] | undefined;
  /** Ids of announced addresses. */
  readonly ask?: readonly AddressId[] | undefined;
  readonly memory?: unknown;
  readonly wakeAt?: Millis | "announceable" | undefined;
}

/** What is known of a policy in another process. */
export interface RemotePolicy {
  /** "plugin:bandit". */
  readonly name: string;
  /** It answers, as far as is known. */
  readonly isUp: boolean;
  readonly measures?: Millis | undefined;
  readonly signals?: readonly Dbm[] | undefined;
}
