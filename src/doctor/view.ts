import type { HostLink } from "../host/index.ts";
import { addressObstacle } from "../host/index.ts";
import { type Address, addressBytes, ENDPOINT_FLAG, type Endpoint, sameAddress } from "../types/index.ts";
import { IFF, type InterfaceAddress } from "../wire/index.ts";
import type { DoctorFacts } from "./facts.ts";

const { subflow, fullmesh, laminar } = ENDPOINT_FLAG;
/** Flags that make an endpoint the source of subflows. */
export const OPENS = subflow | fullmesh | laminar;

/** The link with this index. */
export function linkOf(facts: DoctorFacts, index: number): HostLink | undefined {
  return facts.links.find((link) => link.index === index);
}

/** The name of an interface; "if3" for one that is gone, as iproute2 prints it. */
export function nameOf(facts: DoctorFacts, index: number): string {
  return linkOf(facts, index)?.name ?? `if${index}`;
}

/** The interface address behind an address; undefined when no interface has it. */
export function holderOf(facts: DoctorFacts, address: Address): InterfaceAddress | undefined {
  return facts.addresses.find((candidate) => sameAddress(candidate.address, address));
}

/** "endpoint 10.0.1.1 id 3": how every finding names one. */
export function endpointName({ address, id }: Endpoint): string {
  return `endpoint ${address} id ${id}`;
}

/** Addresses that could carry a subflow now, by the rules of the host plan: one path each. */
export function pathAddresses(facts: DoctorFacts): { address: Address; link: HostLink }[] {
  return facts.addresses.flatMap(({ address, ...rest }) => {
    const link = linkOf(facts, rest.interfaceIndex);
    if (!link || link.flags & IFF.LOOPBACK || link.master !== 0) return [];
    if (["container", "bridge", "loopback", "vpn"].includes(link.interfaceKind)) return [];
    const obstacle = addressObstacle({ address, ...rest }, link);
    return obstacle ? [] : [{ address, link }];
  });
}

/** Is the address inside the prefix? */
export function isInside(address: Address, prefix: Address | undefined, length: number): boolean {
  const bytes = addressBytes(address) ?? [];
  const network = prefix === undefined ? bytes : (addressBytes(prefix) ?? []);
  if (bytes.length !== network.length) return false;
  for (let bit = 0; bit < length; bit++) {
    const mask = 0x80 >> (bit & 7);
    if (((bytes[bit >> 3] ?? 0) & mask) !== ((network[bit >> 3] ?? 0) & mask)) return false;
  }
  return true;
}

/** Which side this host takes, judged by its connections and, without any, by its listening sockets. */
export function sidesOf(facts: DoctorFacts): { client: boolean; server: boolean } {
  const sides = new Set(facts.connections.map(({ side }) => side));
  return { client: sides.has("client"), server: sides.has("server") || applicationListeners(facts).length > 0 };
}

/** MPTCP listeners of applications: those that the kernel opens for endpoints with a port accept no connection. */
export function applicationListeners(facts: DoctorFacts): DoctorFacts["listeners"] {
  const isEndpoint = (address: Address, port: number): boolean =>
    facts.endpoints.some((endpoint) => endpoint.port === port && sameAddress(endpoint.address, address));
  const isLoopback = (address: Address): boolean => address.startsWith("127.") || address === "::1";
  return facts.listeners.filter(({ address, port }) => !isEndpoint(address, port) && !isLoopback(address));
}
