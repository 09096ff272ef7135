import type { Host } from "./host.ts";
import type { LinkDescription } from "./topology.ts";

/** One end of a link: an interface of a host, named as the link. */
export interface LinkEnd {
  readonly host: Host;
  /** With prefix length, as `ip address` takes them. */
  readonly addresses: Set<string>;
  /** Routing table for packets from these addresses; undefined without source routes. */
  readonly table: number | undefined;
}

/** A cable between two hosts, which can be cut in several ways. */
export class Link {
  readonly name: string;
  readonly ends: readonly [LinkEnd, LinkEnd];
  readonly #queue: number;
  #rate: string | undefined;
  #isBlackhole = false;

  constructor(description: LinkDescription, ends: readonly [LinkEnd, LinkEnd]) {
    this.name = description.name;
    this.ends = ends;
    this.#rate = description.rate;
    this.#queue = description.queue;
  }

  /** The first address of the host on this link, without prefix length. */
  address(host: Host, family: 4 | 6 = 4): string {
    const found = [...this.end(host).addresses].find((text) => text.includes(":") === (family === 6));
    if (!found) throw new Error(`${host.name} has no IPv${family} address on ${this.name}`);
    return withoutPrefix(found);
  }

  end(host: Host): LinkEnd {
    const end = this.ends.find((candidate) => candidate.host === host);
    if (!end) throw new Error(`${this.name} does not end at ${host.name}`);
    return end;
  }

  /** Addresses, routes, rate: everything of both ends, also what a link that was down has lost. */
  async configure(): Promise<void> {
    await Promise.all(this.ends.map((end) => end.host.ip(this.ipLines(end))));
    await this.#shape();
  }

  /** The host switches its interface off, as `ip link set down`; the other end sees its carrier go. */
  async down(host: Host): Promise<void> {
    await this.end(host).host.ip([`link set dev ${this.name} down`]);
  }

  /** The host's interface loses its carrier: the other end is switched off. */
  async loseCarrier(host: Host): Promise<void> {
    await this.down(this.#peer(this.end(host)).host);
  }

  /** Both ends up again, with the addresses and routes that the kernel had removed. */
  async up(): Promise<void> {
    await this.configure();
  }

  /** Every packet disappears, both ways, without a sign (true), or no longer (false). */
  async blackhole(isBlackhole: boolean): Promise<void> {
    this.#isBlackhole = isBlackhole;
    await this.#shape();
  }

  /** Limits each direction: "20mbit"; undefined for no limit. */
  async setRate(rate: string | undefined): Promise<void> {
    this.#rate = rate;
    await this.#shape();
  }

  /** The host gets one more address ("10.0.1.3/24") on this link. */
  async addAddress(host: Host, address: string): Promise<void> {
    const end = this.end(host);
    end.addresses.add(address);
    const rule = end.table === undefined ? [] : [`rule add ${this.#rule(end, address)}`];
    await host.ip([...this.ipLines(end), ...rule]);
  }

  /** The host loses an address. */
  async deleteAddress(host: Host, address: string): Promise<void> {
    const end = this.end(host);
    end.addresses.delete(address);
    const rule = end.table === undefined ? [] : [`rule del ${this.#rule(end, address)}`];
    await host.ip([`address del ${address} dev ${this.name}`, ...rule]);
  }

  #peer(end: LinkEnd): LinkEnd {
    return end === this.ends[0] ? this.ends[1] : this.ends[0];
  }

  #rule(end: LinkEnd, address: string): string {
    return `from ${withoutPrefix(address)} lookup ${end.table} pref ${end.table}`;
  }

  /** Idempotent, but for rules: those survive a link that is down, and are added with the lab or the address. */
  ipLines(end: LinkEnd): string[] {
    const lines = [`link set dev ${this.name} up`];
    // Without duplicate address detection an IPv6 address works at once instead of after a second.
    for (const address of end.addresses) {
      lines.push(`address replace ${address} dev ${this.name}${address.includes(":") ? " nodad" : ""}`);
    }
    if (end.table === undefined) return lines;
    for (const gateway of this.#peer(end).addresses) {
      lines.push(`route replace default via ${withoutPrefix(gateway)} dev ${this.name} table ${end.table}`);
    }
    return lines;
  }

  /** The rules of an end with source routes. */
  ruleLines(end: LinkEnd): string[] {
    if (end.table === undefined) return [];
    return [...end.addresses].map((address) => `rule add ${this.#rule(end, address)}`);
  }

  /** For tc(8): the rate, the same at both ends. */
  get tcLine(): string {
    const device = `dev ${this.name} root`;
    // The blackhole qdisc is part of every kernel, and TCP is not told of the loss as it is by a filter on output.
    if (this.#isBlackhole) return `qdisc replace ${device} blackhole`;
    if (!this.#rate) return `qdisc replace ${device} pfifo`;
    return `qdisc replace ${device} tbf rate ${this.#rate} burst 32kb latency ${this.#queue}ms`;
  }

  async #shape(): Promise<void> {
    await Promise.all(this.ends.map(({ host }) => host.tc([this.tcLine])));
  }
}

function withoutPrefix(address: string): string {
  return address.split("/")[0] ?? address;
}
