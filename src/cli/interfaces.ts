import { HostReader } from "../host-facts/index.ts";
import { type Address, sameAddress } from "../types/index.ts";
import type { GlobalOptions } from "./global-options.ts";
import { parseUnsigned } from "./words.ts";

/** An address and the interface that has it. */
interface Holder {
  readonly interfaceIndex: number;
  readonly address: Address;
}

/** The interfaces and addresses of a namespace, read once, when first asked for. */
export class Interfaces {
  readonly #netns: string | undefined;
  #names: Map<number, string> | undefined;
  #holders: readonly Holder[] | undefined;

  constructor({ netns }: Pick<GlobalOptions, "netns">) {
    this.#netns = netns;
  }

  /** The name of an interface; "if3" for one that is gone, as iproute2 prints it. */
  name(index: number): string {
    return this.#read().names.get(index) ?? `if${index}`;
  }

  /** The index behind a name; undefined when there is none. "if3" is 3 whether it exists or not, as in iproute2. */
  index(name: string): number | undefined {
    for (const [index, known] of this.#read().names) if (known === name) return index;
    return parseUnsigned(/^if(\d+)$/.exec(name)?.[1] ?? "", 0x7fffffff);
  }

  /** The interface that has this address; undefined when none has. */
  holder(address: Address): number | undefined {
    return this.#read().holders.find((entry) => sameAddress(entry.address, address))?.interfaceIndex;
  }

  /** The names of all interfaces. */
  names(): string[] {
    return [...this.#read().names.values()];
  }

  /** The addresses of all interfaces. */
  addresses(): Address[] {
    return this.#read().holders.map(({ address }) => address);
  }

  /** The addresses of an interface, in the kernel's order. */
  addressesOf(index: number): readonly Address[] {
    return this.#read()
      .holders.filter((entry) => entry.interfaceIndex === index)
      .map((entry) => entry.address);
  }

  #read(): { names: Map<number, string>; holders: readonly Holder[] } {
    if (!this.#names || !this.#holders) {
      using host = HostReader.open({ netns: this.#netns, isForeign: true });
      this.#names = new Map(host.links().map((link) => [link.index, link.name]));
      this.#holders = host.addresses();
    }
    return { names: this.#names, holders: this.#holders };
  }
}
