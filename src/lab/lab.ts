import { setTimeout as sleep } from "node:timers/promises";
import type { Millis } from "../types/index.ts";
import { LabError } from "./errors.ts";
import { Host } from "./host.ts";
import { Link, type LinkEnd } from "./link.ts";
import { Namespace } from "./namespace.ts";
import { patience } from "./patience.ts";
import { type CheckedTopology, checkTopology, type Topology } from "./topology.ts";

/** The first table for source routes; one per link. */
const FIRST_TABLE = 100;
/** Of the first interface; loopback is 1. */
const FIRST_INDEX = 2;
const POLL: Millis = 4;
/** Between two looks it waits so many times as long as the look took. */
const REST = 4;

/**
 * Real network namespaces with real links on the real kernel. Use it with `await using`; whatever happens to this process,
 * nothing is left behind. Throws {@link LabError}.
 */
export class Lab implements AsyncDisposable {
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #links: ReadonlyMap<string, Link>;

  private constructor(hosts: ReadonlyMap<string, Host>, links: ReadonlyMap<string, Link>) {
    this.#hosts = hosts;
    this.#links = links;
  }

  static async create(topology: Topology): Promise<Lab> {
    const checked = checkTopology(topology);
    const namespaces = await createNamespaces(Object.keys(checked.hosts));
    const hosts = new Map([...namespaces].map(([name, namespace]) => [name, new Host(name, namespace)]));
    const links = new Map(checked.links.map((description, index) => [description.name, makeLink(description, index)]));
    function makeLink(description: CheckedTopology["links"][number], index: number): Link {
      const end = (name: string | undefined): LinkEnd => ({
        host: hosts.get(name ?? "")!, // checkTopology proved that it exists
        addresses: new Set(description.ends[name ?? ""]),
        table: checked.hosts[name ?? ""]?.sourceRoutes ? FIRST_TABLE + index : undefined,
      });
      const [first, second] = Object.keys(description.ends);
      return new Link(description, [end(first), end(second)]);
    }
    const lab = new Lab(hosts, links);
    try {
      await lab.#configure(checked);
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  get hosts(): Iterable<Host> {
    return this.#hosts.values();
  }

  get links(): Iterable<Link> {
    return this.#links.values();
  }

  host(name: string): Host {
    const host = this.#hosts.get(name);
    if (!host)
      throw new LabError(`no host "${name}"; there are: ${[...this.#hosts.keys()].join(", ")}`, {
        code: "LAB_TOPOLOGY",
      });
    return host;
  }

  link(name: string): Link {
    const link = this.#links.get(name);
    if (!link)
      throw new LabError(`no link "${name}"; there are: ${[...this.#links.keys()].join(", ")}`, {
        code: "LAB_TOPOLOGY",
      });
    return link;
  }

  /**
   * Waits until the predicate gives something true and resolves to it; throws LAB_TIMEOUT after {@link patience} of `deadline`.
   * @param what what is waited for; as a function it says how things stand at the end
   */
  async waitFor<T>(
    predicate: () => T | Promise<T>,
    deadline: Millis,
    what: string | (() => string),
  ): Promise<NonNullable<T>> {
    const end = performance.now() + patience(deadline);
    for (;;) {
      const begin = performance.now();
      const value = await predicate();
      if (value) return value;
      if (performance.now() > end)
        throw new LabError(`waited ${patience(deadline)} ms in vain for: ${typeof what === "string" ? what : what()}`, {
          code: "LAB_TIMEOUT",
        });
      // Some looks go through every socket of the machine: looking must not be what keeps it busy.
      await sleep(Math.max(POLL, REST * (performance.now() - begin)));
    }
  }

  /** Ends everything: traffic, commands, namespaces. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.dispose()));
  }

  async #configure(topology: CheckedTopology): Promise<void> {
    for (const [name, { sysctls }] of Object.entries(topology.hosts)) {
      const host = this.host(name);
      // A host with several paths gets answers by another one than it asks: strict checking would drop them.
      for (const which of ["all", "default"]) host.sysctl(`net.ipv4.conf.${which}.rp_filter`, 0);
      for (const [key, value] of Object.entries(sysctls)) host.sysctl(key, value);
    }
    const [first] = this.#hosts.values();
    // Ends with one index look to the kernel like hardware, whose loss of carrier it tells up to a second late when any
    // other link of the machine has just changed (linkwatch_urgent_event).
    const cables = [...this.#links.values()].map(({ name, ends: [a, b] }, link) => {
      const [one, other] = [a, b].map(({ host }, end) => `netns ${host.pid} index ${FIRST_INDEX + 2 * link + end}`);
      return `link add name ${name} ${one} type veth peer name ${name} ${other}`;
    });
    await first?.ip(cables);
    // A process costs more than what it does: one for each host and program, whatever its links.
    await Promise.all([...this.#hosts.values()].map((host) => this.#configureHost(host)));
    for (const [name, { routes }] of Object.entries(topology.hosts)) {
      await this.host(name).ip(routes.map((route) => `route replace ${route}`));
    }
  }

  async #configureHost(host: Host): Promise<void> {
    const links = [...this.#links.values()].filter(({ ends }) => ends.some((end) => end.host === host));
    const ends = links.map((link) => [link, link.end(host)] as const);
    const rules = ends.flatMap(([link, end]) => link.ruleLines(end));
    await host.ip(["link set lo up", ...rules, ...ends.flatMap(([link, end]) => link.ipLines(end))]);
    await host.tc(links.map(({ tcLine }) => tcLine));
  }
}

async function createNamespaces(names: readonly string[]): Promise<Map<string, Namespace>> {
  const results = await Promise.allSettled(names.map(async (name) => [name, await Namespace.create()] as const));
  const made = new Map(results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])));
  const failed = results.find((result) => result.status === "rejected");
  if (failed) {
    await Promise.all([...made.values()].map((namespace) => namespace.dispose()));
    throw failed.reason;
  }
  return made;
}
