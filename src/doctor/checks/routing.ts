import { rpFilterName } from "../../host/index.ts";
import { AF_INET, ENDPOINT_FLAG, type Endpoint, familyOf, sameAddress } from "../../types/index.ts";
import { IFF, RTN } from "../../wire/index.ts";
import type { DoctorFacts, RouteAnswer, RouteProbe } from "../facts.ts";
import type { FixStep, Remark } from "../finding.ts";
import { endpointName, isInside, linkOf, nameOf, OPENS } from "../view.ts";

const { signal } = ENDPOINT_FLAG;
/** Number of the table in a suggested fix, as in most guides: one per interface. */
const TABLE_BASE = 1000;

/** Is there a route of the interface, in any table, that leads to the remote? */
function isCovered(facts: DoctorFacts, { remote, interfaceIndex }: RouteProbe): boolean {
  const family = familyOf(remote);
  return facts.routes.some(
    (route) =>
      route.family === family &&
      route.type === RTN.UNICAST &&
      route.outputInterface === interfaceIndex &&
      isInside(remote, route.destination, route.destinationLength),
  );
}

/**
 * Does the answer lead out by the interface? For a socket that is bound to a device IPv4 takes every address for a
 * neighbour when no route fits (ip_route_output_key_hash_rcu), so that an answer alone proves nothing.
 */
function leadsOut(facts: DoctorFacts, probe: RouteProbe, answer: RouteAnswer | undefined): boolean {
  if (answer?.outputInterface !== probe.interfaceIndex) return false;
  const needsNoGateway = ((linkOf(facts, probe.interfaceIndex)?.flags ?? 0) & (IFF.NOARP | IFF.POINTOPOINT)) !== 0;
  return answer.gateway !== undefined || needsNoGateway || isCovered(facts, probe);
}

/** Has the family a way out at all? Without one a documentation address proves nothing. */
function hasDefaultRoute(facts: DoctorFacts, family: number): boolean {
  return facts.routes.some(
    (route) => route.family === family && route.destinationLength === 0 && route.type === RTN.UNICAST,
  );
}

function sourceRoute(facts: DoctorFacts, { address, interfaceIndex }: RouteProbe): FixStep[] {
  const family = familyOf(address);
  const ip = family === AF_INET ? "ip" : "ip -6";
  const name = nameOf(facts, interfaceIndex);
  const gateway = facts.routes.find(
    (route) => route.family === family && route.outputInterface === interfaceIndex && route.gateway !== undefined,
  )?.gateway;
  const table = TABLE_BASE + interfaceIndex;
  return [
    { type: "shell", command: `${ip} route add default via ${gateway ?? "GATEWAY"} dev ${name} table ${table}` },
    { type: "shell", command: `${ip} rule add from ${address} lookup ${table}` },
  ];
}

/**
 * A subflow that exists is the proof of its way, whatever a question about routes says: a socket is routed by more than can
 * be asked (marks, rules of a user, neighbours that answer for others). One bound to the device cannot leave by another.
 */
function isProven(facts: DoctorFacts, probe: RouteProbe, answer: RouteAnswer | undefined): boolean {
  const isElsewhere = answer !== undefined && answer.outputInterface !== probe.interfaceIndex;
  return facts.connections.some(({ subflows }) =>
    subflows.some(
      ({ state, path, interfaceIndex }) =>
        state === "established" &&
        sameAddress(path.local.address, probe.address) &&
        sameAddress(path.remote.address, probe.remote) &&
        (interfaceIndex === probe.interfaceIndex || !isElsewhere),
    ),
  );
}

/** The probes of an endpoint that can tell: peers first, the documentation address where there is a default route. */
function probesOf(facts: DoctorFacts, { address }: Endpoint): RouteProbe[] {
  return facts.routeProbes.filter(
    (probe) => sameAddress(probe.address, address) && (probe.isPeer || hasDefaultRoute(facts, familyOf(probe.remote))),
  );
}

/** Packets from an endpoint's address leave by its interface? Asked of the kernel. */
export function checkSourceRoute(facts: DoctorFacts): Remark[] {
  return facts.endpoints.flatMap((endpoint): Remark[] => {
    const opens = (endpoint.flags & OPENS) !== 0;
    if (!opens && !(endpoint.flags & signal)) return [];
    const isBound = opens && endpoint.interfaceIndex !== 0;
    const answerOf = (probe: RouteProbe): RouteAnswer | undefined => (isBound ? probe.bound : probe.unbound);
    const probes = probesOf(facts, endpoint);
    const wrong = probes.find(
      (probe) => !leadsOut(facts, probe, answerOf(probe)) && !isProven(facts, probe, answerOf(probe)),
    );
    if (!wrong) return [];
    const answer = answerOf(wrong);
    const works = probes.filter(({ isPeer }) => isPeer && wrong.isPeer === false).map(({ remote }) => remote);
    const dev = nameOf(facts, wrong.interfaceIndex);
    const asked = `\`ip route get ${wrong.remote} from ${wrong.address}${isBound ? ` oif ${dev}` : ""}\``;
    const told =
      answer === undefined
        ? "finds no route"
        : answer.outputInterface === wrong.interfaceIndex
          ? `finds no gateway on ${dev}`
          : `leaves by ${nameOf(facts, answer.outputInterface)}, not by ${dev}`;
    return [
      {
        // Where its subflows are, there is a way: what is missing is one to everybody else.
        level: works.length > 0 ? "note" : opens ? "error" : "warning",
        seen: `${endpointName(endpoint)}: ${asked} ${told}`,
        why:
          works.length > 0
            ? `Subflows from this address to ${works.join(", ")} exist; towards other hosts they take another path than meant, or none.`
            : opens
              ? "Subflows from this address take another path than meant, or none: networks drop packets with a foreign source address."
              : "Peers that join this address are answered by another interface; many networks drop such packets.",
        fix: sourceRoute(facts, wrong),
      },
    ];
  });
}

/** Endpoints without a device whose source address alone does not lead to the right one. */
export function checkEndpointWithoutDevice(facts: DoctorFacts): Remark[] {
  return facts.endpoints.flatMap((endpoint): Remark[] => {
    const { interfaceIndex, flags, id, address, port } = endpoint;
    if (interfaceIndex !== 0 || !(flags & OPENS)) return [];
    const probes = probesOf(facts, endpoint);
    const wrong = probes.find(
      (probe) =>
        !leadsOut(facts, probe, probe.unbound) &&
        leadsOut(facts, probe, probe.bound) &&
        !isProven(facts, probe, probe.unbound),
    );
    if (!wrong) return [];
    const dev = nameOf(facts, wrong.interfaceIndex);
    return [
      {
        level: "warning",
        seen: `${endpointName(endpoint)} names no device`,
        why: `With \`dev ${dev}\` its subflows would be bound to ${dev}, where there is a route; that is enough, without policy routing.`,
        fix: [
          { type: "endpoint.delete", id },
          { type: "endpoint.add", address, dev, port, flags },
        ],
      },
    ];
  });
}

/** Strict reverse path filtering where answers come in by another interface than packets to the peer leave. */
export function checkRpFilter(facts: DoctorFacts): Remark[] {
  const value = (device: string): number => Number(facts.sysctls.get(rpFilterName(device)) ?? 0);
  const devices = new Map<string, RouteProbe>();
  for (const endpoint of facts.endpoints) {
    if (familyOf(endpoint.address) !== AF_INET) continue;
    for (const probe of probesOf(facts, endpoint)) {
      const device = nameOf(facts, probe.interfaceIndex);
      const isStrict = Math.max(value("all"), value(device)) === 1;
      if (isStrict && probe.unbound?.outputInterface !== probe.interfaceIndex) devices.set(device, probe);
    }
  }
  return [...devices].map(([device, probe]) => ({
    level: "error",
    seen: `rp_filter is strict on ${device} (the larger of all=${value("all")} and ${device}=${value(device)}), and the way back to ${probe.remote} from ${probe.address} does not leave by it`,
    why: "The kernel drops what arrives there: the SYN/ACK of every subflow on this interface.",
    fix: [{ type: "sysctl", name: rpFilterName(device), value: "2" }],
    safe: true,
  }));
}

/** Several interfaces behind the same gateway address. */
export function checkSameGateway(facts: DoctorFacts): Remark[] {
  const links = new Map<string, Set<number>>();
  for (const { gateway, destinationLength, outputInterface } of facts.routes) {
    if (gateway === undefined || destinationLength !== 0 || gateway.startsWith("fe80:")) continue;
    links.set(gateway, (links.get(gateway) ?? new Set()).add(outputInterface));
  }
  return [...links]
    .filter(([, indexes]) => indexes.size > 1)
    .map(([gateway, indexes]) => ({
      level: "note",
      seen: `${[...indexes].map((index) => nameOf(facts, index)).join(" and ")} have the same gateway ${gateway}`,
      why: "Only endpoints with a device, or rules by source address, keep the paths apart; they may also share one line.",
    }));
}

/** Interfaces that carry the address of another on purpose. */
const SHARED_ADDRESS = new Set([
  "vlan",
  "ipvlan",
  "ipvtap",
  "macvlan",
  "macvtap",
  "bridge",
  "bond",
  "team",
  "vrf",
  "vxlan",
]);
const ARPHRD_ETHER = 1;

/** Two paths with the same hardware address. */
export function checkDuplicateMac(facts: DoctorFacts): Remark[] {
  const names = new Map<string, string[]>();
  for (const { index, name, kind, master, hardwareType, hardwareAddress } of facts.links) {
    const isPath = facts.addresses.some(({ interfaceIndex }) => interfaceIndex === index);
    if (hardwareType !== ARPHRD_ETHER || master !== 0 || !isPath || SHARED_ADDRESS.has(kind ?? "")) continue;
    names.set(hardwareAddress, [...(names.get(hardwareAddress) ?? []), name]);
  }
  return [...names]
    .filter(([, list]) => list.length > 1)
    .map(([address, list]) => ({
      level: "warning",
      seen: `${list.join(" and ")} have the same hardware address ${address}`,
      why: "In one network switches and DHCP servers take them for one interface: packets of one path arrive at the other.",
      fix: [{ type: "shell", command: `ip link set dev ${list.at(-1)} address 02:XX:XX:XX:XX:XX` }],
    }));
}
