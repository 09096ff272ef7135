import type { ChildProcess, SpawnOptions } from "node:child_process";
import { readCounters, readSysctl, writeSysctl } from "../netlink/index.ts";
import type { CommandResult, Namespace } from "./namespace.ts";
import { type ListenOptions, Service } from "./traffic.ts";

/** A host of the lab: a network namespace with interfaces. */
export class Host {
  readonly name: string;
  readonly #namespace: Namespace;
  readonly #services: Service[] = [];

  constructor(name: string, namespace: Namespace) {
    this.name = name;
    this.#namespace = namespace;
  }

  /** The network namespace as a path, for `MptcpPm.open({ netns })`, `ip netns`, nsenter(1). */
  get netns(): string {
    return this.#namespace.path;
  }

  /** The process that holds the namespace. */
  get pid(): number {
    return this.#namespace.pid;
  }

  /** Runs a command on the host to its end; throws LabError when it fails, unless `mayFail`. */
  exec(command: readonly string[], options: { input?: string; mayFail?: boolean } = {}): Promise<CommandResult> {
    return this.#namespace.exec(command, options);
  }

  /** Starts a command on the host, which is killed with the lab. */
  spawn(command: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return this.#namespace.spawn(command, options);
  }

  /** Several `ip` commands at once, one a line. */
  async ip(lines: readonly string[]): Promise<void> {
    // In a batch only the command line can say the family, and `ip rule` does not guess it from the address.
    const isV6Rule = (line: string): boolean => line.startsWith("rule ") && line.includes(":");
    const v6 = lines.filter(isV6Rule);
    if (v6.length > 0) await this.exec(["ip", "-6", "-batch", "-"], { input: `${v6.join("\n")}\n` });
    const others = v6.length > 0 ? lines.filter((line) => !isV6Rule(line)) : lines;
    if (others.length > 0) await this.exec(["ip", "-batch", "-"], { input: `${others.join("\n")}\n` });
  }

  /** Several `tc` commands at once, one a line. */
  async tc(lines: readonly string[]): Promise<void> {
    if (lines.length > 0) await this.exec(["tc", "-batch", "-"], { input: `${lines.join("\n")}\n` });
  }

  /** The MPTcpExt counters of the host. */
  counters(): Record<string, number> {
    return readCounters(this.netns);
  }

  /** Reads a sysctl of the host, or writes it when there is a value: `sysctl("net.mptcp.pm_type", 1)`. */
  sysctl(name: string, value?: string | number): string | undefined {
    if (value !== undefined) writeSysctl(name, String(value), this.netns);
    return readSysctl(name, this.netns);
  }

  /** Listens for MPTCP connections of the lab's traffic. */
  async listen(options: ListenOptions): Promise<Service> {
    const service = await Service.listen(this.netns, options);
    this.#services.push(service);
    return service;
  }

  async dispose(): Promise<void> {
    for (const service of this.#services) service.close();
    await this.#namespace.dispose();
  }
}
