import { ask } from "../../src/control/index.ts";
import {
  commandLine,
  type HostChange,
  type HostConfig,
  type HostFacts,
  interfaceKind,
  OUR_PROTOCOL,
  planHost,
  reconcileHost,
  rpFilterName,
} from "../../src/host/index.ts";
import { type Host, Lab } from "../../src/lab/index.ts";
import { MptcpPm, Rtnl, readSysctl } from "../../src/netlink/index.ts";
import type { Endpoint, Limits } from "../../src/types/index.ts";
import { DEADLINE, stateOf } from "./daemon-support.ts";

export interface ThreeLinks {
  readonly lab: Lab;
  readonly host: Host;
  readonly hub: Host;
}

/** A host with three links to a hub that has their other ends. */
export async function threeLinks(use: (world: ThreeLinks) => Promise<void>): Promise<void> {
  const link = (name: string, n: number) => ({ name, ends: { host: [`10.0.${n}.1/24`], hub: [`10.0.${n}.2/24`] } });
  await using lab = await Lab.create({
    hosts: { host: {}, hub: {} },
    links: [link("eth1", 1), link("eth2", 2), link("eth3", 3)],
  });
  const [host, hub] = [lab.host("host"), lab.host("hub")];
  await host.ip([1, 2, 3].map(defaultRoute));
  await use({ lab, host, hub });
}

export const defaultRoute = (n: number): string =>
  `route replace default via 10.0.${n}.2 dev eth${n} metric ${n * 100}`;

export const ALL = ["10.0.1.1 eth1", "10.0.2.1 eth2", "10.0.3.1 eth3"];
export const WITHOUT_2 = ["10.0.1.1 eth1", "10.0.3.1 eth3"];

export type PathManager = "kernel" | "userspace";
interface Table {
  readonly endpoints: readonly Endpoint[];
  readonly limits: Limits;
}

/** The table in charge: the kernel's, or the daemon's own. */
export async function tableOf({ netns }: Host, pathManager: PathManager): Promise<Table> {
  if (pathManager === "userspace") {
    return { endpoints: await ask("endpoint.list", {}, { netns }), limits: await ask("limits.get", {}, { netns }) };
  }
  using pm = MptcpPm.open({ netns });
  return { endpoints: pm.endpoints(), limits: pm.limits() };
}

/** "10.0.1.1 eth1" of each endpoint. */
export async function endpoints(host: Host, pathManager: PathManager = "kernel"): Promise<string[]> {
  using rtnl = Rtnl.open({ netns: host.netns });
  const names = new Map(rtnl.links().map(({ index, name }) => [index, name]));
  const table = await tableOf(host, pathManager);
  return table.endpoints.map(({ address, interfaceIndex }) => `${address} ${names.get(interfaceIndex)}`).sort();
}

/** Address → id of each endpoint. */
export async function endpointIds(host: Host, pathManager: PathManager): Promise<Record<string, number>> {
  return Object.fromEntries((await tableOf(host, pathManager)).endpoints.map(({ address, id }) => [address, id]));
}

export async function becomes(
  lab: Lab,
  host: Host,
  wanted: readonly string[],
  what: string,
  pathManager: PathManager = "kernel",
): Promise<void> {
  const there = async (): Promise<string> => (await endpoints(host, pathManager)).join();
  const same = async (): Promise<boolean> => (await there()) === [...wanted].sort().join();
  await lab.waitFor(same, DEADLINE, `${what}: ${wanted.join()}`).catch(async (error: Error) => {
    throw new Error(`${error.message}; there are ${await there()}`);
  });
}

/** Our rules, each with the default route of its table: "10.0.2.1 via 10.0.2.2 dev eth2". Both sides without the other show. */
export function sourceRoutes(host: Host): string[] {
  using rtnl = Rtnl.open({ netns: host.netns });
  const names = new Map(rtnl.links().map(({ index, name }) => [index, name]));
  const ours = rtnl.routes().filter(({ protocol }) => protocol === OUR_PROTOCOL);
  const rules = rtnl.rules().filter(({ protocol }) => protocol === OUR_PROTOCOL);
  const orphans = ours.filter(({ table }) => !rules.some((rule) => rule.table === table));
  return [
    ...rules.map(({ source, table }) => {
      const route = ours.find((each) => each.table === table && each.destinationLength === 0);
      return `${source} via ${route?.gateway} dev ${names.get(route?.outputInterface ?? 0)}`;
    }),
    ...orphans.map(({ table }) => `table ${table} without a rule`),
  ].sort();
}

/** The facts of a host as a daemon there would see them, gathered from outside. */
function factsOf(host: Host, table: Table, rtnl: Rtnl): HostFacts {
  const links = rtnl.links();
  const names = [
    "net.mptcp.enabled",
    "net.mptcp.allow_join_initial_addr_port",
    ...["all", ...links.map(({ name }) => name)].map(rpFilterName),
  ];
  return {
    links: links.map((link) => ({
      ...link,
      interfaceKind: interfaceKind(link, { deviceType: undefined, wireless: false }),
      connection: undefined,
    })),
    addresses: rtnl.addresses(),
    routes: rtnl.routes(),
    rules: rtnl.rules(),
    ...table,
    sysctls: new Map(names.flatMap((name): [string, string][] => [[name, readSysctl(name, host.netns) ?? ""]])),
    capacity: { endpoints: 8, limit: 8, laminar: true },
  };
}

/** What a plan would still change: nothing, when the tables equal it. */
export async function difference(
  host: Host,
  config: HostConfig,
  pathManager: PathManager = "kernel",
): Promise<string[]> {
  const table = await tableOf(host, pathManager);
  using rtnl = Rtnl.open({ netns: host.netns });
  const facts = factsOf(host, table, rtnl);
  const memory = {
    afterCrash: false,
    foreign: undefined,
    owned: new Set(stateOf(host).host.owned),
    yielded: new Set<string>(),
    sysctls: new Map(),
    limits: undefined,
  };
  const changes = reconcileHost(facts, planHost(facts, config, memory), config, memory);
  const there = new Set(facts.addresses.map(({ address }) => address));
  // What has gone is waited for.
  const isWaitedFor = (change: HostChange): boolean =>
    pathManager === "kernel" && change.type === "endpoint.delete" && !there.has(change.address);
  return changes.filter((change) => !isWaitedFor(change)).map((change) => commandLine(change, String));
}
