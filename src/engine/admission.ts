import { type Address, isWithin, type Millis, type Prefix, parsePrefix, unmap } from "../types/index.ts";
import { type Pace, takeOne } from "./allowance.ts";
import type { Connection } from "./model.ts";
import type { LeftOut } from "./policy.ts";

/** Which announced addresses an administrator wants connected to. */
export interface RemoteAddressRules {
  /** Also where the default would not. */
  readonly allow: readonly Prefix[];
  /** Whatever else is said. */
  readonly deny: readonly Prefix[];
}

const NO_RULES: RemoteAddressRules = { allow: [], deny: [] };

const prefixes = (...texts: readonly string[]): readonly Prefix[] => texts.flatMap((text) => parsePrefix(text) ?? []);

/** No host elsewhere has one of these (RFC 6890): a SYN to it goes nowhere, or to ourselves. */
const IMPOSSIBLE = prefixes(
  ...["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"],
  // An address of one link says nothing without the link, which an ADD_ADDR cannot name.
  ...["::/128", "::1/128", "ff00::/8", "fe80::/10"],
);

/** Networks behind somebody's own door: RFC 1918, RFC 6598 (carrier NAT), RFC 3927, RFC 4193. */
const INNER = prefixes(
  ...["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"],
  "fc00::/7",
);

/**
 * So many announcements at once are looked at, and so many more each second. A server names a handful when the connection begins; one
 * that names ever new addresses would have us send SYNs to hosts of its choice.
 */
const PACE: Pace = { burst: 16, perSecond: 4 };

/** Judges what peers announce, before any policy sees it. */
export class Admission {
  #rules: RemoteAddressRules = NO_RULES;
  #own: ReadonlySet<Address> = new Set();

  setRules(rules: RemoteAddressRules): void {
    this.#rules = rules;
  }

  /** Of this host, on any interface. */
  setOwnAddresses(addresses: readonly Address[]): void {
    this.#own = new Set(addresses);
  }

  isOwn(address: Address): boolean {
    return this.#own.has(unmap(address));
  }

  /** Why there will be no subflow to the address; undefined: a policy may want one. */
  fault({ initial }: Connection, announced: Address): Pick<LeftOut, "reason" | "remedy"> | undefined {
    const address = unmap(announced);
    const isIn = (prefix: Prefix): boolean => isWithin(prefix, address);
    if (IMPOSSIBLE.some(isIn)) return { reason: "no other host can have this address", remedy: "the peer is wrong" };
    if (this.#own.has(address)) return { reason: "it is an address of this host", remedy: "the peer is wrong" };
    if (this.#rules.deny.some(isIn)) return { reason: "remote_addresses denies it", remedy: "take it out of `deny`" };
    // A server out there has no business in our inner network: it could make us scan it. One that is inside itself may.
    const comesFromOutside = !INNER.some((prefix) => isWithin(prefix, initial.remote.address));
    if (comesFromOutside && INNER.some(isIn) && !this.#rules.allow.some(isIn)) {
      return {
        reason: "an address of an inner network, named by a peer that is outside of it",
        remedy: "if it is meant, allow it in `remote_addresses`",
      };
    }
    return undefined;
  }

  /** Takes one announcement off what the connection may still have looked at. False: it is too many. */
  takes(connection: Connection, now: Millis): boolean {
    const { granted, ...left } = takeOne(connection.announcementsLeft, PACE, now);
    connection.announcementsLeft = left;
    return granted;
  }
}

/** What is said of an announcement beyond {@link Admission.takes}. */
export const TOO_MANY = {
  reason: `the peer announces more than ${PACE.perSecond} addresses a second`,
  remedy: "the peer must announce it again, later",
};
