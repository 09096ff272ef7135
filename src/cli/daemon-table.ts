import { ask, DaemonError } from "../control/index.ts";
import type { EndpointChange, NewEndpoint } from "../netlink/index.ts";
import { type Address, type AddressId, type Endpoint, ERRNO, type Limits } from "../types/index.ts";
import type { EndpointTable } from "./endpoint-table.ts";

/** The endpoints and limits of a namespace of the userspace path manager: they live in its daemon. */
export class DaemonTable implements EndpointTable {
  readonly #netns: string | undefined;

  constructor(netns: string | undefined) {
    this.#netns = netns;
  }

  async addEndpoint({ address, id, port, flags, interfaceIndex }: NewEndpoint): Promise<void> {
    await ask("endpoint.add", { address, id, port, flags, interfaceIndex }, { netns: this.#netns });
  }

  async deleteEndpoint({
    id,
    address,
  }: {
    readonly id: AddressId;
    readonly address?: Address | undefined;
  }): Promise<void> {
    await ask("endpoint.delete", { id, address }, { netns: this.#netns });
  }

  async changeEndpoint({ id, address, port, flags }: EndpointChange): Promise<void> {
    await ask("endpoint.change", { id, address, port, flags }, { netns: this.#netns });
  }

  async endpoint(id: AddressId): Promise<Endpoint> {
    const found = (await this.endpoints()).find((endpoint) => endpoint.id === id);
    // The kernel's words for MPTCP_PM_CMD_GET_ADDR of an id that it has not.
    if (!found) throw new DaemonError({ code: "KERNEL", errno: ERRNO.EINVAL, message: "address not found" });
    return found;
  }

  endpoints(): Promise<readonly Endpoint[]> {
    return ask("endpoint.list", {}, { netns: this.#netns });
  }

  async flushEndpoints(): Promise<void> {
    await ask("endpoint.flush", {}, { netns: this.#netns });
  }

  limits(): Promise<Limits> {
    return ask("limits.get", {}, { netns: this.#netns });
  }

  async setLimits({ subflows, addAddrAccepted }: Partial<Limits>): Promise<void> {
    await ask("limits.set", { subflows, addAddrAccepted }, { netns: this.#netns });
  }

  close(): void {}
}
