import { addressObstacle } from "../../host/index.ts";
import { ENDPOINT_FLAG, type Endpoint, sameAddress } from "../../types/index.ts";
import { IFA_F } from "../../wire/index.ts";
import type { DoctorFacts } from "../facts.ts";
import type { FixStep, Remark } from "../finding.ts";
import {
  applicationListeners,
  endpointName,
  holderOf,
  linkOf,
  nameOf,
  OPENS,
  pathAddresses,
  sidesOf,
} from "../view.ts";

const { signal, subflow, backup, implicit } = ENDPOINT_FLAG;

function replace({ id, address, port }: Endpoint, dev: string | undefined, flags: number): FixStep[] {
  return [
    { type: "endpoint.delete", id },
    { type: "endpoint.add", address, dev, port, flags },
  ];
}

/** Endpoints that somebody configured: implicit ones are the kernel's own notes. */
function configured(facts: DoctorFacts): Endpoint[] {
  return facts.endpoints.filter(({ flags }) => !(flags & implicit));
}

/** An endpoint without any flag does nothing. */
export function checkEndpointFlags(facts: DoctorFacts): Remark[] {
  const inert = configured(facts).filter(({ flags }) => !(flags & (signal | OPENS | backup)));
  const { client, server } = sidesOf(facts);
  return inert.map((endpoint) => {
    const dev = holderOf(facts, endpoint.address);
    return {
      level: "error",
      seen: `${endpointName(endpoint)} has neither subflow nor signal nor laminar`,
      why: "The kernel keeps it and never uses it. Clients need `subflow`, servers `signal`.",
      fix: dev
        ? replace(endpoint, nameOf(facts, dev.interfaceIndex), server && !client ? signal : subflow)
        : [{ type: "endpoint.delete", id: endpoint.id }],
      // Nothing came from it, so nothing is lost.
      safe: true,
    };
  });
}

/** The device of an endpoint is gone, or has not its address. */
export function checkEndpointDevice(facts: DoctorFacts): Remark[] {
  return configured(facts).flatMap((endpoint): Remark[] => {
    const { interfaceIndex, id, address, flags } = endpoint;
    if (interfaceIndex === 0) return [];
    if (!linkOf(facts, interfaceIndex)) {
      return [
        {
          level: "warning",
          seen: `${endpointName(endpoint)} is bound to interface ${interfaceIndex}, which is gone`,
          why: "Subflows from it fail (ENODEV) and use up the one try that an endpoint has in each connection.",
          fix: [{ type: "endpoint.delete", id }],
          safe: true,
        },
      ];
    }
    const holders = facts.addresses.filter((candidate) => sameAddress(candidate.address, address));
    if (holders.length === 0 || holders.some((holder) => holder.interfaceIndex === interfaceIndex)) return [];
    const right = nameOf(facts, holders[0]!.interfaceIndex);
    return [
      {
        level: "warning",
        seen: `${endpointName(endpoint)} is bound to ${nameOf(facts, interfaceIndex)}, but ${right} has the address`,
        why: "Its packets leave by an interface whose network does not expect them, and answers do not come back.",
        fix: replace(endpoint, right, flags),
      },
    ];
  });
}

/** The address of an endpoint is on no interface. */
export function checkEndpointAddress(facts: DoctorFacts): Remark[] {
  return configured(facts).flatMap((endpoint): Remark[] => {
    const { address, id, flags } = endpoint;
    const isGoneDevice = endpoint.interfaceIndex !== 0 && !linkOf(facts, endpoint.interfaceIndex);
    if (isGoneDevice || holderOf(facts, address) || facts.localAddresses.has(address)) return [];
    if (!(flags & (signal | OPENS))) return [];
    if (!(flags & OPENS)) {
      return [
        {
          level: "note",
          seen: `${endpointName(endpoint)} announces an address that this host does not have`,
          why: "Right behind a NAT that forwards it; otherwise peers try to join it in vain.",
        },
      ];
    }
    return [
      {
        level: "warning",
        seen: `${endpointName(endpoint)} has an address that no interface has`,
        why: "Subflows from it fail (EADDRNOTAVAIL) and use up the one try that an endpoint has in each connection.",
        fix: [{ type: "endpoint.delete", id }],
        safe: true,
      },
    ];
  });
}

/** The address exists and cannot be used now. */
export function checkEndpointUnusable(facts: DoctorFacts): Remark[] {
  return configured(facts).flatMap((endpoint): Remark[] => {
    const holder = holderOf(facts, endpoint.address);
    const link = holder && linkOf(facts, holder.interfaceIndex);
    const obstacle = link && addressObstacle(holder, link);
    // Private and privacy addresses are skipped by the plan as a matter of taste; named by hand they are meant.
    if (!obstacle || /unique local|privacy/.test(obstacle.reason)) return [];
    const failed = (holder.flags & IFA_F.DADFAILED) !== 0;
    return [
      {
        level: failed ? "warning" : "note",
        seen: `${endpointName(endpoint)} cannot be used now: ${obstacle.reason}`,
        why: "A connection that tries it now does not try it again by itself when it can be used.",
        fix: obstacle.remedy.startsWith("ip ") ? [{ type: "shell", command: obstacle.remedy }] : [],
      },
    ];
  });
}

/** A client that announces instead of opening. */
export function checkSignalOnClient(facts: DoctorFacts): Remark[] {
  const { client } = sidesOf(facts);
  if (!client || applicationListeners(facts).length > 0) return [];
  return configured(facts)
    .filter(({ flags }) => flags & signal && !(flags & OPENS))
    .map((endpoint) => ({
      level: "warning",
      seen: `${endpointName(endpoint)} is \`signal\`, on a host that opens connections and listens for none`,
      why: "Servers do not connect to addresses of clients: no subflow comes of it. A client opens them itself, with `subflow`.",
      fix: replace(endpoint, deviceOf(facts, endpoint), subflow),
    }));
}

function deviceOf(facts: DoctorFacts, { address, interfaceIndex }: Endpoint): string | undefined {
  const index = interfaceIndex || holderOf(facts, address)?.interfaceIndex;
  return index === undefined ? undefined : nameOf(facts, index);
}

/** A server that opens instead of announcing. */
export function checkSubflowOnServer(facts: DoctorFacts): Remark[] {
  const isServer = facts.connections.some(({ side }) => side === "server");
  if (!isServer || sidesOf(facts).client || configured(facts).some(({ flags }) => flags & signal)) return [];
  return configured(facts)
    .filter(({ flags }) => flags & subflow)
    .map((endpoint) => ({
      level: "warning",
      seen: `${endpointName(endpoint)} is \`subflow\`, on a host that only accepts connections`,
      why: "Clients sit behind NATs and listen for nothing: joins to them fail, and nobody tells them of this address. A server announces, with `signal`.",
      fix: replace(endpoint, deviceOf(facts, endpoint), signal),
    }));
}

/** Several paths, and nothing that says so. */
export function checkNoEndpoints(facts: DoctorFacts): Remark[] {
  if (facts.pathManager !== "kernel" || facts.limits === undefined || configured(facts).length > 0) return [];
  const paths = pathAddresses(facts);
  if (new Set(paths.map(({ link }) => link.index)).size < 2) return [];
  const { client, server } = sidesOf(facts);
  const flags = server && !client ? signal : subflow;
  return [
    {
      // A server with one announced address less still accepts every join of its clients.
      level: server && !client ? "note" : "warning",
      seen: `there is no endpoint, and there are ${paths.length} addresses on several interfaces`,
      why: "The kernel's path manager uses the addresses of endpoints only: connections keep to one path. `subflow run` adds them as they come and go.",
      fix: paths.map(({ address, link }) => ({ type: "endpoint.add", address, dev: link.name, port: 0, flags })),
    },
  ];
}

/** Only one way out. */
export function checkSinglePath(facts: DoctorFacts): Remark[] {
  const links = new Set(pathAddresses(facts).map(({ link }) => link.name));
  if (links.size !== 1) return [];
  const alive = [...links].join(", ");
  return [
    {
      level: "note",
      seen: `${alive} is the only interface that can carry traffic now`,
      why: "A second subflow from here would take the same path; the peer may still have several addresses.",
    },
  ];
}
