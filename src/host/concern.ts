import type { Address, Endpoint } from "../types/index.ts";

/** Interfaces and addresses of the endpoints that are there or planned. Before the first plan everything may be ours. */
export class Concern {
  #interfaces: ReadonlySet<number> | undefined;
  #addresses: ReadonlySet<Address> | undefined;

  become(endpoints: readonly Pick<Endpoint, "address" | "interfaceIndex">[]): void {
    this.#interfaces = new Set(endpoints.map(({ interfaceIndex }) => interfaceIndex));
    this.#addresses = new Set(endpoints.map(({ address }) => address));
  }

  /** Is anything of ours on the interface, or is the address one of ours? */
  has(interfaceIndex: number, address?: Address): boolean {
    const known = address === undefined ? this.#interfaces?.has(interfaceIndex) : this.#addresses?.has(address);
    return known ?? true;
  }
}
