import { AF_INET, ENDPOINT_FLAG, type Endpoint, type Family, familyOf, type Limits } from "../types/index.ts";

/** A peer as far as the in-kernel algorithm sees it. */
export interface PeerKind {
  /** How many addresses it has; all but the initial one are announced. */
  readonly addresses: number;
  /** It forbids joins to its initial address (RFC 8684 section 3.1, flag C), as behind a load balancer. */
  readonly denies: boolean;
}

/** What one kind of peer is left without. */
export interface CoverageGap extends PeerKind {
  /** How many of this host's addresses get no subflow, and of the peer's. */
  readonly local: number;
  readonly remote: number;
}

/** Peers with up to as many addresses as this are planned for. */
export const PEER_ADDRESSES = 4;

const { subflow, fullmesh, laminar } = ENDPOINT_FLAG;

/**
 * What the in-kernel path manager makes of a connection that begins on the first endpoint: pairs of the indexes of a local and a
 * remote address. After mptcp_pm_create_subflow_or_signal_addr, fill_local_addresses_vec (net/mptcp/pm_kernel.c of Linux 6.18),
 * for a peer whose announcements follow the establishment.
 * @param flags of the endpoints of one family, in the table's order
 */
export function kernelPairs(flags: readonly number[], limits: Limits, peer: PeerKind): (readonly [number, number])[] {
  const pairs: (readonly [number, number])[] = [[0, 0]];
  const spent = new Set([0]);
  const open = (local: number, remote: number): void => {
    if (pairs.length <= limits.subflows) pairs.push([local, remote]);
  };
  const unspent = (flag: number): number[] =>
    flags.flatMap((each, index) => (each & flag && !spent.has(index) ? [index] : []));
  // What is tried in vain, because the peer denies it, is spent as well; but what only answers announcements is not.
  if (!peer.denies) {
    for (const local of unspent(subflow)) {
      spent.add(local);
      open(local, 0);
    }
  }
  for (let remote = 1; remote < peer.addresses && remote <= limits.addAddrAccepted; remote++) {
    for (const local of answering(flags, unspent, peer)) {
      spent.add(local);
      open(local, remote);
    }
  }
  return pairs;
}

function answering(flags: readonly number[], unspent: (flag: number) => number[], { denies }: PeerKind): number[] {
  const meshed = flags.flatMap((each, index) => (each & fullmesh ? [index] : []));
  if (meshed.length > 0) return meshed;
  if (flags.some((each) => each & laminar)) return unspent(laminar).slice(0, 1);
  // Routing picks, and on most hosts picks what the connection began on.
  return denies ? unspent(subflow) : [0];
}

/** Which kinds of peers leave an address of either side without a subflow, fewest addresses first. */
export function coverageGaps(flags: readonly number[], limits: Limits, peers = PEER_ADDRESSES): CoverageGap[] {
  const gaps: CoverageGap[] = [];
  if (flags.length === 0) return gaps;
  for (const denies of [false, true]) {
    // A peer that has but an address that nobody may join can have no second subflow at all.
    for (let addresses = denies ? 2 : 1; addresses <= peers; addresses++) {
      const pairs = kernelPairs(flags, limits, { addresses, denies });
      const local = flags.length - new Set(pairs.map(([index]) => index)).size;
      const remote = addresses - new Set(pairs.map(([, index]) => index)).size;
      if (local > 0 || remote > 0) gaps.push({ addresses, denies, local, remote });
    }
  }
  return gaps;
}

/** Which peers are asked about. */
export interface Peers {
  /** Those that forbid joins to their initial address, or not. */
  readonly denies?: readonly boolean[];
  /** With up to so many addresses. */
  readonly addresses?: number;
}

/** What the in-kernel path manager leaves without a subflow, for people; empty: it covers such peers. */
export function coverageTexts(
  endpoints: readonly Pick<Endpoint, "address" | "flags">[],
  limits: Limits,
  { denies = [false, true], addresses }: Peers = {},
): string[] {
  const opening = endpoints.filter(({ flags }) => flags & (subflow | fullmesh | laminar));
  const families = new Set(opening.map(({ address }) => familyOf(address)));
  return [...families].flatMap((family) => {
    const flags = opening.filter(({ address }) => familyOf(address) === family).map((each) => each.flags);
    const gaps = coverageGaps(flags, limits, addresses);
    return denies.flatMap((kind) => {
      const [first, ...more] = gaps.filter((gap) => gap.denies === kind);
      return first ? [textOf(first, more.length > 0, family)] : [];
    });
  });
}

function textOf({ addresses, denies, local, remote }: CoverageGap, orMore: boolean, family: Family): string {
  const many = `${addresses}${orMore ? " or more" : ""} IPv${family === AF_INET ? 4 : 6} address${addresses > 1 ? "es" : ""}`;
  const who = `a peer with ${many}${denies ? " that forbids joins to its initial one" : ""}`;
  const lost = [
    remote > 0 && `to ${remote} of its addresses`,
    local > 0 && `from ${local} of this host's addresses`,
  ].filter(Boolean);
  return `${who}: no subflow ${lost.join(" and none ")}`;
}
