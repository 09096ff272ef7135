import { ask, DaemonError } from "../../src/control/index.ts";
import type { Host } from "../../src/lab/index.ts";
import { MptcpPm, NetlinkError } from "../../src/netlink/index.ts";
import {
  type Address,
  ENDPOINT_FLAG,
  type Endpoint,
  type EndpointFlagName,
  type SubflowInfo,
  sameAddress,
} from "../../src/types/index.ts";

/** Who decides in a namespace: the kernel's own path manager, or our daemon. */
export type Manager = "kernel" | "ours";
export type HostName = "client" | "server";

/** The links of every scenario; a host's address on link b is 10.0.2.1 (client) or 10.0.2.2 (server), as IPv6 fd00:2::1 or ::2. */
export const LINKS = ["a", "b", "c", "d"] as const;

/** "b" on the client: 10.0.2.1; "b6": fd00:2::1; anything else is an address already. */
export function addressOf(host: HostName, word: string): Address {
  const link = LINKS.indexOf(word[0] as (typeof LINKS)[number]);
  if (link < 0 || word.length > 2) return word as Address;
  const number = host === "client" ? 1 : 2;
  return (word[1] === "6" ? `fd00:${link + 1}::${number}` : `10.0.${link + 1}.${number}`) as Address;
}

/** The table of endpoints and limits of one host, whoever has it. */
interface Table {
  list(): Promise<readonly Endpoint[]>;
  add(endpoint: { address: Address; flags: number; id?: number; port?: number }): Promise<unknown>;
  remove(which: { id: number; address?: Address }): Promise<unknown>;
  change(which: { id: number; flags: number }): Promise<unknown>;
  flush(): Promise<unknown>;
  limits(limits: { subflows: number; addAddrAccepted: number }): Promise<unknown>;
}

function kernelTable(pm: MptcpPm): Table {
  const on =
    <A extends unknown[], R>(use: (pm: MptcpPm, ...args: A) => R) =>
    async (...args: A): Promise<R> =>
      use(pm, ...args);
  return {
    list: on((pm) => pm.endpoints()),
    add: on((pm, endpoint) => pm.addEndpoint(endpoint)),
    remove: on((pm, which) => pm.deleteEndpoint(which)),
    change: on((pm, which) => pm.changeEndpoint(which)),
    flush: on((pm) => pm.flushEndpoints()),
    limits: on((pm, limits) => pm.setLimits(limits)),
  };
}

function ourTable(host: Host): Table {
  const where = { netns: host.netns };
  return {
    list: () => ask("endpoint.list", {}, where),
    add: (endpoint) => ask("endpoint.add", endpoint, where),
    remove: (which) => ask("endpoint.delete", which, where),
    change: (which) => ask("endpoint.change", which, where),
    flush: () => ask("endpoint.flush", {}, where),
    limits: (limits) => ask("limits.set", limits, where),
  };
}

/** One host of a stand, and the commands that a scenario gives it. */
export class Side implements Disposable {
  readonly host: Host;
  readonly name: HostName;
  /** One for all looks: they are many. */
  readonly pm: MptcpPm;
  /** The subflows that the last look found. */
  seen: readonly SubflowInfo[] = [];
  readonly #table: Table;

  constructor(host: Host, name: HostName, manager: Manager) {
    this.host = host;
    this.name = name;
    this.pm = MptcpPm.open({ netns: host.netns });
    this.#table = manager === "kernel" ? kernelTable(this.pm) : ourTable(host);
  }

  [Symbol.dispose](): void {
    this.pm[Symbol.dispose]();
  }

  /** As after boot: no endpoint, the default limits, joins to the initial address welcome. */
  async reset(): Promise<void> {
    await this.#table.flush();
    await this.#table.limits({ subflows: 2, addAddrAccepted: 0 });
    this.host.sysctl("net.mptcp.allow_join_initial_addr_port", 1);
  }

  /** Carries out one command of a scenario, without the host's name. @returns why it was refused */
  async command(words: readonly string[]): Promise<string | undefined> {
    try {
      await this.#run(words[0] ?? "", words.slice(1));
      return undefined;
    } catch (error) {
      if (!(error instanceof NetlinkError || error instanceof DaemonError)) throw error;
      return `${error.errno} ${error.kernelMessage ?? ""}`;
    }
  }

  async #run(verb: string, words: readonly string[]): Promise<unknown> {
    switch (verb) {
      case "limits":
        return this.#table.limits({ subflows: Number(words[0]), addAddrAccepted: Number(words[1]) });
      case "add":
        return this.#table.add({ address: addressOf(this.name, words[0] ?? ""), ...endpointWords(words.slice(1)) });
      case "delete":
        if (words[0] === "id") {
          return this.#table.remove({ id: Number(words[1]), ...(words[2] && { address: this.#address(words[2]) }) });
        }
        return this.#table.remove({ id: await this.#idOf(words[0] ?? "") });
      case "change":
        return this.#table.change({ id: await this.#idOf(words[0] ?? ""), flags: endpointWords(words.slice(1)).flags });
      case "flush":
        return this.#table.flush();
      case "denies":
        return this.host.sysctl("net.mptcp.allow_join_initial_addr_port", 0);
      case "kill":
        // Only the subflows on their way from here; to the peer it is a reset.
        return this.host.exec(["ss", "-K", "state", "established", "src", this.#address(words[0] ?? "")]);
      default:
        throw new Error(`no command "${verb}"`);
    }
  }

  #address(word: string): Address {
    return addressOf(this.name, word);
  }

  async #idOf(word: string): Promise<number> {
    const address = this.#address(word);
    const found = (await this.#table.list()).find((endpoint) => sameAddress(endpoint.address, address));
    if (!found) throw new Error(`no endpoint ${address} to name`);
    return found.id;
  }
}

/** "subflow backup id 3 port 5000" */
function endpointWords(words: readonly string[]): { flags: number; id?: number; port?: number } {
  let flags = 0;
  const numbers: { id?: number; port?: number } = {};
  for (let index = 0; index < words.length; index++) {
    const word = words[index];
    if (word === "id" || word === "port") numbers[word] = Number(words[++index]);
    else if (word !== undefined && word in ENDPOINT_FLAG) flags |= ENDPOINT_FLAG[word as EndpointFlagName];
    else throw new Error(`no flag "${word}"`);
  }
  return { flags, ...numbers };
}
