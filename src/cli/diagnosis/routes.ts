import type { DoctorFacts, RouteAnswer, RouteProbe } from "../../doctor/index.ts";
import { NetlinkError, type Rtnl } from "../../netlink/index.ts";
import { type Address, AF_INET, familyOf, parseAddress, sameAddress, unmap } from "../../types/index.ts";

/** RFC 5737 and RFC 3849: addresses that nobody has, so that only the way out of here decides. */
const SOMEWHERE = { 4: parseAddress("192.0.2.1")!, 6: parseAddress("2001:db8::1")! };
/** Enough to see what is wrong; a busy server has thousands of peers. */
const PEERS_MAX = 8;

/** Asks the kernel how it would send from each of these addresses: to peers of the same connection, and out of here. */
export function probeRoutes(rtnl: Rtnl, facts: DoctorFacts, addresses: ReadonlySet<Address>): RouteProbe[] {
  const probes: RouteProbe[] = [];
  for (const address of addresses) {
    const holder = facts.addresses.find((candidate) => sameAddress(candidate.address, address));
    if (!holder) continue;
    const { interfaceIndex } = holder;
    const somewhere = familyOf(address) === AF_INET ? SOMEWHERE[4] : SOMEWHERE[6];
    const peers = peersOf(facts, address);
    for (const remote of [...peers, somewhere]) {
      const bound = boundAnswer(rtnl, remote, { source: address, interfaceIndex });
      const unbound = answer(rtnl, remote, { source: address });
      probes.push({ address, interfaceIndex, remote, isPeer: peers.includes(remote), bound, unbound });
    }
  }
  return probes;
}

/** Remote addresses of subflows that this address has now: only those are known to be meant for it. */
function peersOf(facts: DoctorFacts, address: Address): Address[] {
  const peers = new Set<Address>();
  for (const { subflows } of facts.connections) {
    for (const { path, state } of subflows) {
      if (state === "established" && sameAddress(path.local.address, address)) peers.add(unmap(path.remote.address));
    }
  }
  return [...peers].filter((peer) => familyOf(peer) === familyOf(address)).slice(0, PEERS_MAX);
}

/**
 * As a socket bound to the device is routed. With a source, IPv6 takes the device of a question for a wish, but that of a
 * socket for a command (RT6_LOOKUP_F_IFACE in ip6_route_output_flags); without a source it is one in a question too.
 */
function boundAnswer(
  rtnl: Rtnl,
  remote: Address,
  from: { readonly source: Address; readonly interfaceIndex: number },
): RouteAnswer | undefined {
  const { interfaceIndex } = from;
  const found = answer(rtnl, remote, from);
  if (familyOf(remote) === AF_INET || found?.outputInterface === interfaceIndex) return found;
  return answer(rtnl, remote, { interfaceIndex });
}

function answer(
  rtnl: Rtnl,
  remote: Address,
  from: { readonly source?: Address; readonly interfaceIndex?: number },
): RouteAnswer | undefined {
  try {
    const route = rtnl.routeTo(remote, from);
    return route && { outputInterface: route.outputInterface, gateway: route.gateway };
  } catch (error) {
    // A source that is no longer ours, a device that went: the kernel would refuse the socket as well.
    if (error instanceof NetlinkError) return undefined;
    throw error;
  }
}
