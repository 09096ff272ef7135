import type { EndpointChange, NewEndpoint } from "../netlink/index.ts";
import type { Address, AddressId, Endpoint, Limits } from "../types/index.ts";

/** Of the kernel now, of the daemon soon. */
export type Awaitable<T> = T | Promise<T>;

/** Whatever answers the endpoint and limits commands; `MptcpPm` has this shape. */
export interface EndpointTable {
  addEndpoint(endpoint: NewEndpoint): Awaitable<void>;
  deleteEndpoint(which: { readonly id: AddressId; readonly address?: Address | undefined }): Awaitable<void>;
  changeEndpoint(change: EndpointChange): Awaitable<void>;
  endpoint(id: AddressId): Awaitable<Endpoint>;
  endpoints(): Awaitable<readonly Endpoint[]>;
  flushEndpoints(): Awaitable<void>;
  limits(): Awaitable<Limits>;
  setLimits(limits: Partial<Limits>): Awaitable<void>;
  close(): void;
}
