import type { EndpointChange, MptcpPm, NewEndpoint, Request } from "../../netlink/index.ts";
import type { Address, Endpoint, Limits } from "../../types/index.ts";

/** Refusals are values here: a plan meets them as facts and goes on. */
export interface Refusal {
  readonly errno: number;
  readonly message: string;
}

/** The table in charge of a namespace: the kernel's, or the engine's. Synchronous. */
export interface EndpointPort {
  endpoints(): readonly Endpoint[];
  limits(): Limits;
  add(endpoint: NewEndpoint): Refusal | undefined;
  remove(which: { readonly id: number; readonly address?: Address }): Refusal | undefined;
  change(change: EndpointChange): Refusal | undefined;
  setLimits(limits: Limits): Refusal | undefined;
  /** {@link remove} as a request that can be sent at another time; absent where no request is needed. */
  removal?(which: { readonly id: number }): Request;
}

/** The in-kernel path manager's table. */
export class KernelEndpoints implements EndpointPort {
  readonly #pm: MptcpPm;

  constructor(pm: MptcpPm) {
    this.#pm = pm;
  }

  endpoints(): readonly Endpoint[] {
    return this.#pm.endpoints();
  }

  limits(): Limits {
    return this.#pm.limits();
  }

  add(endpoint: NewEndpoint): Refusal | undefined {
    return refusalOf(() => this.#pm.addEndpoint(endpoint));
  }

  remove(which: { readonly id: number; readonly address?: Address }): Refusal | undefined {
    return refusalOf(() => this.#pm.deleteEndpoint(which));
  }

  removal(which: { readonly id: number }): Request {
    return this.#pm.deleteEndpointRequest(which);
  }

  change(change: EndpointChange): Refusal | undefined {
    return refusalOf(() => this.#pm.changeEndpoint(change));
  }

  setLimits(limits: Limits): Refusal | undefined {
    return refusalOf(() => this.#pm.setLimits(limits));
  }
}

/** A refusal of netlink as a value; anything else stays an exception. */
export function refusalOf(attempt: () => void): Refusal | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    const { errno, kernelMessage, message } = error as { errno?: number; kernelMessage?: string; message: string };
    if (errno === undefined) throw error;
    return { errno, message: kernelMessage ?? message };
  }
}
