import type { PlannedEndpoint } from "../../host/index.ts";
import type { EndpointChange, MptcpPm, NewEndpoint, Request } from "../../netlink/index.ts";
import type { Address, Endpoint, Limits } from "../../types/index.ts";

/** Refusals are values here: a plan meets them as facts and goes on. */
export interface Refusal {
  readonly errno: number;
  readonly message: string;
}

export interface EndpointRemoval {
  readonly id: number;
  readonly address?: Address;
  /** Its link, its network or its address was lost, and may come back: the kernel makes no difference. */
  readonly isLoss?: boolean | undefined;
}

/** The table in charge of a namespace: the kernel's, or the engine's. Synchronous. */
export interface EndpointPort {
  endpoints(): readonly Endpoint[];
  limits(): Limits;
  add(endpoint: NewEndpoint): Refusal | undefined;
  remove(which: EndpointRemoval): Refusal | undefined;
  change(change: EndpointChange): Refusal | undefined;
  setLimits(limits: Limits): Refusal | undefined;
  /** The same as requests, which can be sent at another time; absent where none are needed. */
  readonly requests?: {
    add(endpoint: NewEndpoint): Request;
    remove(which: { readonly id: number }): Request;
    setLimits(limits: Limits): Request;
  };
}

/** What a table is asked for, to have a planned endpoint. */
export function newEndpoint({ address, port, id, flags, interfaceIndex }: PlannedEndpoint): NewEndpoint {
  return { address, port, id: id || undefined, flags, interfaceIndex };
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

  remove({ isLoss: _, ...which }: EndpointRemoval): Refusal | undefined {
    return refusalOf(() => this.#pm.deleteEndpoint(which));
  }

  get requests(): NonNullable<EndpointPort["requests"]> {
    const pm = this.#pm;
    return {
      add: (endpoint) => pm.addEndpointRequest(endpoint),
      remove: (which) => pm.deleteEndpointRequest(which),
      setLimits: (limits) => pm.setLimitsRequest(limits),
    };
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
