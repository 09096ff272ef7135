import type { ChildProcess } from "node:child_process";
import { type Host, Lab, type Topology } from "../src/lab/index.ts";
import { MptcpPm, Rtnl } from "../src/netlink/index.ts";
import { type Address, ENDPOINT_FLAG } from "../src/types/index.ts";
import { configFile, DaemonProcess } from "../test/kernel/daemon-support.ts";
import { spinUntil } from "./_support.ts";
import { end, MPTCPD } from "./_world.ts";

/** Who manages the paths of one host: Subflow in one of its modes, the kernel with endpoints that somebody set by hand, or mptcpd as Debian has it. */
export type Manager = "userspace" | "kernel" | "bare" | "mptcpd";

export interface Managers {
  readonly client: Manager;
  readonly server: Manager;
  /** Of the server's daemon, where it says more than nothing. */
  readonly config?: string;
}

const PROFILE = "profile: server";

/** Who manages what, by the name of a column. Configurations are empty, but where a server is told that it is one. */
export const SETUPS = {
  userspace: { client: "userspace", server: "userspace" },
  "userspace-profile": { client: "userspace", server: "userspace", config: PROFILE },
  kernel: { client: "kernel", server: "kernel" },
  "kernel-profile": { client: "kernel", server: "kernel", config: PROFILE },
  "userspace-client": { client: "userspace", server: "bare" },
  "kernel-client": { client: "kernel", server: "bare" },
  "userspace-server": { client: "bare", server: "userspace" },
  "kernel-server": { client: "bare", server: "kernel" },
  bare: { client: "bare", server: "bare" },
} satisfies Record<string, Managers>;
export type Setup = keyof typeof SETUPS;

export type HostName = "client" | "server";
export const HOSTS: readonly HostName[] = ["client", "server"];

export interface Size {
  /** Addresses of the client. */
  readonly local: number;
  /** Addresses of the server. */
  readonly remote: number;
  readonly family: 4 | 6;
}

/** More lines for the daemons to read; the mode is said on the command line. */
export type Configs = Readonly<Record<HostName, string>>;
export const EMPTY: Configs = { client: "", server: "" };

/** The link and router nearest to a host's n-th address, and the link behind the router, which no host sees. */
export const near = (host: HostName, n: number): string => `${host === "client" ? "c" : "s"}${n}`;
export const far = (host: HostName, n: number): string => `${host === "client" ? "u" : "v"}${n}`;
export const routerOf = (host: HostName, n: number): string => `${host === "client" ? "isp" : "rack"}${n}`;
const CORE = "core";

export const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const sides = ({ local, remote }: Size) =>
  [
    ["client", local],
    ["server", remote],
  ] as const;

interface Network {
  readonly prefix: string;
  /** Without prefix length; the first is nearer to the host. */
  readonly ends: readonly [string, string];
}

/** The host's n-th network, or that between its router and the core. */
function network(host: HostName, n: number, family: 4 | 6, place: "near" | "far"): Network {
  const number = (host === "client" ? 10 : 20) + (place === "far" ? 100 : 0) + n;
  const base = family === 4 ? `10.${number}.0.` : `2001:db8:${number}::`;
  return { prefix: family === 4 ? `${base}0/24` : `${base}/64`, ends: [`${base}1`, `${base}2`] };
}

/** The address of a host on its n-th link, without prefix length. */
export const addressOf = (host: HostName, n: number, family: 4 | 6): Address =>
  network(host, n, family, "near").ends[0] as Address;
export const cidr = (address: string): string => `${address}/${address.includes(":") ? 64 : 24}`;

/** Two hosts with addresses on links of their own, each behind a router, and one core that never fails. */
export class World implements AsyncDisposable {
  readonly lab: Lab;
  readonly size: Size;
  readonly daemons: Partial<Record<HostName, DaemonProcess>> = {};
  readonly #others: ChildProcess[] = [];
  readonly #routes: ReadonlyMap<string, readonly Route[]>;

  private constructor(lab: Lab, size: Size, routes: ReadonlyMap<string, readonly Route[]>) {
    this.lab = lab;
    this.size = size;
    this.#routes = routes;
  }

  /** Builds the network and starts the managers; resolves when both serve. */
  static async create(size: Size, setup: Setup | Managers, configs = EMPTY): Promise<World> {
    const managers: Managers = typeof setup === "string" ? SETUPS[setup] : setup;
    const routes = routesOf(size);
    const lab = await Lab.create(topologyOf(size, routes, managers));
    const world = new World(lab, size, routes);
    try {
      const own = { client: configs.client, server: `${managers.config ?? ""}\n${configs.server}` };
      await Promise.all(HOSTS.map((host) => world.#manage(host, managers[host], own[host])));
      return world;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  host(name: HostName): Host {
    return this.lab.host(name);
  }

  /** Sets again what the kernel took away with a link: routes over it, on every machine. */
  async restoreRoutes(link: string): Promise<void> {
    const lost = [...this.#routes].map(([host, routes]) => [host, routes.filter(({ dev }) => dev === link)] as const);
    await Promise.all(
      lost.map(([host, routes]) => this.lab.host(host).ip(routes.map(({ line }) => `route replace ${line}`))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(HOSTS.map((host) => this.daemons[host]?.end()));
    await Promise.all(this.#others.map((child) => end(child)));
    await this.lab[Symbol.asyncDispose]();
  }

  async #manage(host: HostName, manager: Manager, config: string): Promise<void> {
    if (manager === "bare") return setByHand(this.host(host), host, this.size);
    if (manager === "mptcpd") {
      this.#others.push(
        await startPackagedMptcpd(this.host(host), host === "client" ? this.size.local : this.size.remote),
      );
      return;
    }
    const args = ["--path-manager", manager, "--config", configFile(config)];
    this.daemons[host] = await DaemonProcess.start(this.lab, this.host(host), ...args);
  }
}

/** As the Debian package is set up, with the flag of endpoints that a client needs; its limits are the admin's. Resolves when it has added the endpoints. */
async function startPackagedMptcpd(host: Host, addresses: number): Promise<ChildProcess> {
  using pm = MptcpPm.open({ netns: host.netns });
  pm.setLimits({ subflows: 8, addAddrAccepted: 8 });
  const words = [
    "--addr-flags=subflow",
    "--notify-flags=existing,skip_link_local,skip_loopback",
    "--path-manager=addr_adv",
  ];
  const child = host.spawn([MPTCPD, ...words], { stdio: "ignore" });
  await spinUntil(() => pm.endpoints().length >= addresses, 10_000, "the endpoints of mptcpd");
  return child;
}

/** As the kernel's documentation has it: the client opens subflows from its addresses, the server announces its own. */
export function setByHand(host: Host, name: HostName, size: Size): void {
  using pm = MptcpPm.open({ netns: host.netns });
  pm.setLimits({ subflows: 8, addAddrAccepted: name === "client" ? 8 : 0 });
  const flags = name === "client" ? ENDPOINT_FLAG.subflow : ENDPOINT_FLAG.signal;
  const indexes = new Map(readIndexes(host));
  for (const n of numbers(name === "client" ? size.local : size.remote)) {
    pm.addEndpoint({
      address: addressOf(name, n, size.family),
      flags,
      interfaceIndex: indexes.get(near(name, n)) ?? 0,
    });
  }
}

function readIndexes(host: Host): [string, number][] {
  using rtnl = Rtnl.open({ netns: host.netns });
  return rtnl.links().map(({ name, index }) => [name, index]);
}

interface Route {
  readonly dev: string;
  readonly line: string;
}

function routesOf(size: Size): Map<string, Route[]> {
  const { family } = size;
  const routes = new Map<string, Route[]>([[CORE, []]]);
  const add = (host: string, dev: string, route: string, metric = ""): void => {
    routes.set(host, [...(routes.get(host) ?? []), { dev, line: `${route} dev ${dev}${metric}` }]);
  };
  for (const [host, count] of sides(size)) {
    for (const n of numbers(count)) {
      const [inner, outer] = [network(host, n, family, "near"), network(host, n, family, "far")];
      add(host, near(host, n), `default via ${inner.ends[1]}`, ` metric ${n}00`);
      add(routerOf(host, n), far(host, n), `default via ${outer.ends[1]}`);
      add(CORE, far(host, n), `${inner.prefix} via ${outer.ends[0]}`);
    }
  }
  return routes;
}

function topologyOf(size: Size, routes: ReadonlyMap<string, readonly Route[]>, managers: Managers): Topology {
  const { family } = size;
  const forwards = { "net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1 };
  const lines = (host: string): string[] => (routes.get(host) ?? []).map(({ line }) => line);
  const hosts: Topology["hosts"] = { [CORE]: { sysctls: forwards, routes: lines(CORE) } };
  const links: Topology["links"] = [];
  for (const [host, count] of sides(size)) {
    // Whoever sets endpoints by hand sets source routes too; Subflow has to bring its own.
    hosts[host] = { sourceRoutes: managers[host] === "bare" || managers[host] === "mptcpd", routes: lines(host) };
    for (const n of numbers(count)) {
      const [inner, outer] = [network(host, n, family, "near").ends, network(host, n, family, "far").ends];
      const router = routerOf(host, n);
      hosts[router] = { sysctls: forwards, routes: lines(router) };
      links.push({ name: near(host, n), ends: { [host]: [cidr(inner[0])], [router]: [cidr(inner[1])] } });
      links.push({ name: far(host, n), ends: { [router]: [cidr(outer[0])], [CORE]: [cidr(outer[1])] } });
    }
  }
  return { hosts, links };
}
