import { IFF, type Link } from "../wire/index.ts";

/** What an interface is, as far as it matters for the choice of paths. */
export const INTERFACE_KINDS = ["ethernet", "wifi", "cellular", "vpn", "container", "bridge", "loopback"] as const;
export type InterfaceKind = (typeof INTERFACE_KINDS)[number];

/** Names under which container runtimes and hypervisors put their bridges and ports. */
const CONTAINER_NAMES = /^(docker|br-|virbr|vnet|cni|flannel|cali|lxc|lxd|podman|vmnet|kube|nerdctl)/;
/** rtnetlink kinds (IFLA_INFO_KIND) of tunnels. */
const TUNNEL_KINDS = new Set([
  "tun",
  "wireguard",
  "ipip",
  "sit",
  "gre",
  "gretap",
  "ip6gre",
  "ip6tnl",
  "vti",
  "vti6",
  "xfrm",
  "vxlan",
  "geneve",
]);
const CELLULAR_NAMES = /^(wwan|rmnet|cdc-wdm|ccmni)/;

/** What sysfs says of an interface: DEVTYPE of its uevent, and whether it has a `wireless` or `phy80211` entry. */
export interface SysfsFacts {
  readonly deviceType: string | undefined;
  readonly wireless: boolean;
}

/** Kind of an interface; the first rule that fits decides. */
export function interfaceKind(link: Link, sysfs: SysfsFacts): InterfaceKind {
  if (link.flags & IFF.LOOPBACK) return "loopback";
  if (sysfs.wireless || sysfs.deviceType === "wlan") return "wifi";
  if (sysfs.deviceType === "wwan" || CELLULAR_NAMES.test(link.name)) return "cellular";
  if (CONTAINER_NAMES.test(link.name)) return "container";
  // A veth inside a container is its Ethernet; one that is a port of a bridge is the host's end of a container.
  if (link.kind === "veth" && link.master !== 0) return "container";
  if (link.kind === "bridge") return "bridge";
  if (link.kind !== undefined && TUNNEL_KINDS.has(link.kind)) return "vpn";
  return "ethernet";
}
