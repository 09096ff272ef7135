import { type Address, AF_INET, addressBytes, familyOf } from "../types/index.ts";
import { IFA_F, IFF } from "../wire/index.ts";
import type { HostAddress, HostLink } from "./facts.ts";
import type { MainRoutes } from "./main-routes.ts";

/** Something that a plan could have used and does not. */
export interface Obstacle {
  readonly reason: string;
  /** What would change it; "" where nothing need. */
  readonly remedy: string;
  /** It is the link's or the network's, and may be over in a moment: the address itself is there. */
  readonly passing?: boolean;
}

/** Is the link able to carry packets now? */
export function linkObstacle(link: HostLink): Obstacle | undefined {
  if (!(link.flags & IFF.UP)) return { reason: `${link.name} is down`, remedy: `ip link set ${link.name} up` };
  const dead = !link.carrier || !["up", "unknown", "dormant"].includes(link.operationalState);
  if (dead) return { reason: `${link.name} has no carrier`, remedy: "plug the cable in, or join the network" };
  return undefined;
}

/** Addresses that never leave their link or their site, as NetworkManager skips them too. */
function scopeObstacle(address: Address): Obstacle | undefined {
  const bytes = addressBytes(address) ?? [];
  const [first = 0, second = 0] = bytes;
  const local = (reason: string): Obstacle => ({ reason, remedy: "name it as a fixed endpoint if it is meant" });
  if (bytes.length === 4) {
    if (first === 127) return local("loopback addresses are no paths");
    if (first === 169 && second === 254) return local("link-local addresses (169.254.0.0/16) are no paths");
    return undefined;
  }
  if (first === 0xfe && (second & 0xc0) === 0x80) return local("link-local addresses (fe80::/10) are no paths");
  if ((first & 0xfe) === 0xfc) return local("unique local addresses (fc00::/7) are no paths");
  if (address === "::1") return local("loopback addresses are no paths");
  return undefined;
}

/** IPv6 duplicate address detection, lifetimes, privacy. */
function lifeObstacle({ address, flags, unrouted }: HostAddress): Obstacle | undefined {
  if (unrouted) return { reason: "the kernel has no local route to it", remedy: "" };
  if (flags & IFA_F.DADFAILED) return { reason: "another host has this address", remedy: "remove it here or there" };
  // An optimistic address is tentative too, but may be used (RFC 4429).
  if (flags & IFA_F.TENTATIVE && !(flags & IFA_F.OPTIMISTIC))
    return { reason: "duplicate address detection is not over", remedy: "" };
  if (flags & IFA_F.DEPRECATED) return { reason: "deprecated: its preferred lifetime is over", remedy: "" };
  // The same bit says IFA_F_SECONDARY of an IPv4 address: one more in a subnet, and as good as the first.
  if (flags & IFA_F.TEMPORARY && familyOf(address) !== AF_INET)
    return { reason: "privacy addresses are not used: peers could tell that they are one host", remedy: "" };
  return undefined;
}

/**
 * Why an address is no path now; undefined when it is one.
 * @param main whose default route must leave by the link; undefined: its network is enough
 */
export function addressObstacle(address: HostAddress, link: HostLink, main?: MainRoutes): Obstacle | undefined {
  const obstacle = linkObstacle(link);
  // A link that is down takes the local route with it.
  const lasting = scopeObstacle(address.address) ?? lifeObstacle(obstacle ? { ...address, unrouted: false } : address);
  if (obstacle) return { ...obstacle, passing: lasting === undefined };
  if (lasting || !main) return lasting;
  const family = familyOf(address.address);
  if (main.defaultsOf(link.index, family).length > 0) return undefined;
  const name = family === AF_INET ? "IPv4" : "IPv6";
  return {
    reason: `${link.name} has no ${name} default route`,
    remedy: `set also_without_default_route for ${link.name} if its network is enough`,
    passing: true,
  };
}
