import {
  type Address,
  type AddressId,
  ENDPOINT_FLAG,
  type Endpoint,
  ERRNO,
  type Limits,
  type Millis,
  sameAddress,
} from "../types/index.ts";
import type { TableBounds } from "./bounds.ts";
import type { EndpointRequest } from "./commands.ts";

const { signal, subflow, backup, fullmesh, implicit, laminar } = ENDPOINT_FLAG;
const KNOWN_FLAGS = signal | subflow | backup | fullmesh | implicit | laminar;
const ID_MAX = 255;

/** A refusal: errno positive, text as the kernel's extended ACK has it. */
export interface Refusal {
  readonly errno: number;
  readonly message: string;
}

/** An endpoint that is none for now. */
export interface Away {
  readonly endpoint: Endpoint;
  /** Until then it is waited for; Infinity: its address is there, and only its link or network fails. */
  until: Millis;
}

/** Either what was asked for, or why not. */
export type Outcome<T> = { readonly ok: T } | { readonly refused: Refusal };

const refuse = (errno: number, message: string): { refused: Refusal } => ({ refused: { errno, message } });

/**
 * The endpoints and limits of a network namespace whose path manager is this engine: ids, order, checks and error texts of the
 * kernel's own table (net/mptcp/pm_kernel.c), so that commands and scripts cannot tell them apart.
 */
export class EndpointTable {
  /** In the order in which the kernel tries them: with a port at the head, without at the tail. */
  readonly list: Endpoint[] = [];
  /** Those that were lost, and that peers of ours know: see away.ts. Their ids are kept for them. */
  readonly away: Away[] = [];
  limits: Limits = { subflows: 2, addAddrAccepted: 0 };
  /** Counts changes. */
  revision = 0;
  readonly #bounds: TableBounds;
  #nextId: AddressId = 1;

  constructor(bounds: TableBounds) {
    this.#bounds = bounds;
  }

  /** How many endpoints carry the flag (`endp_signal_max` and its like). */
  count(flag: number): number {
    let count = 0;
    for (const endpoint of this.list) if (endpoint.flags & flag) count++;
    return count;
  }

  /** mptcp_pm_nl_add_addr_doit: what it refuses before it opens a listener. */
  check(request: EndpointRequest): Refusal | undefined {
    if (request.port && (request.flags & (signal | subflow)) !== signal) {
      return refuse(ERRNO.EINVAL, "flags must have signal and not subflow when using port").refused;
    }
    if (request.flags & signal && request.flags & fullmesh) {
      return refuse(ERRNO.EINVAL, "flags mustn't have both signal and fullmesh").refused;
    }
    if (request.flags & implicit) return refuse(ERRNO.EINVAL, "can't create IMPLICIT endpoint").refused;
    return undefined;
  }

  /** mptcp_pm_nl_append_new_local_addr. */
  add(request: EndpointRequest): Outcome<Endpoint> {
    const port = request.port ?? 0;
    if (this.#nextId === ID_MAX) this.#nextId = 1;
    const failed = (errno: number) => refuse(errno, `too many addresses or duplicate one: -${errno}`);
    if (this.list.length >= this.#bounds.endpointsMax) return failed(ERRNO.ERANGE);
    if (request.id && this.#isTaken(request.id, request.address)) return failed(ERRNO.EBUSY);
    let id = request.id ?? 0;
    const same = this.list.find((e) => sameAddress(e.address, request.address) && e.port === port);
    if (same) {
      if (!(same.flags & implicit)) return failed(ERRNO.EEXIST);
      if (id) return failed(ERRNO.EINVAL);
      id = same.id;
      this.list.splice(this.list.indexOf(same), 1);
    }
    const returned = this.away.find(({ endpoint: e }) => sameAddress(e.address, request.address) && e.port === port);
    if (returned) this.forget(returned);
    id ||= returned?.endpoint.id ?? this.#freeId();
    if (!id) return failed(ERRNO.EINVAL);
    if (id > this.#nextId) this.#nextId = id;
    const flags = request.flags & KNOWN_FLAGS;
    const endpoint: Endpoint = {
      id,
      address: request.address,
      port,
      flags,
      interfaceIndex: request.interfaceIndex ?? 0,
    };
    this.revision++;
    if (port) this.list.unshift(endpoint);
    else this.list.push(endpoint);
    return { ok: endpoint };
  }

  /** mptcp_pm_kernel_get_local_id: an address in use that no endpoint has gets one without flags; undefined: no room. */
  implicit(address: Address): Endpoint | undefined {
    const known = this.byAddress(address, 0);
    if (known) return known;
    const added = this.add({ address, flags: 0 });
    if (!("ok" in added)) return undefined;
    return this.#replace(added.ok, implicit);
  }

  /** mptcp_pm_nl_del_addr_doit, for id ≠ 0. */
  delete(id: AddressId): Outcome<Endpoint> {
    const endpoint = this.byId(id);
    if (!endpoint) return refuse(ERRNO.EINVAL, "address not found");
    this.revision++;
    this.list.splice(this.list.indexOf(endpoint), 1);
    return { ok: endpoint };
  }

  /** As if it were deleted, but its id is kept for when its address is an endpoint again, or it is forgotten. */
  leave(id: AddressId, until: Millis): Outcome<Endpoint> {
    const outcome = this.delete(id);
    if ("ok" in outcome) this.away.push({ endpoint: outcome.ok, until });
    return outcome;
  }

  forget(gone: Away): void {
    this.revision++;
    this.away.splice(this.away.indexOf(gone), 1);
  }

  /** mptcp_pm_nl_flush_addrs_doit; returns what was there, limits stay. */
  flush(): Endpoint[] {
    this.#nextId = 1;
    this.revision++;
    return [...this.list.splice(0), ...this.away.splice(0).map(({ endpoint }) => endpoint)];
  }

  /** mptcp_pm_nl_set_flags: `backup` and `fullmesh`, absolute. */
  change(command: {
    readonly id?: AddressId | undefined;
    readonly address?: Address | undefined;
    readonly port?: number | undefined;
    readonly flags: number;
  }): Outcome<{ readonly endpoint: Endpoint; readonly changed: number }> {
    if (!command.address && !command.id) return refuse(ERRNO.EOPNOTSUPP, "missing address ID");
    const endpoint = command.address
      ? this.byAddress(command.address, command.port ?? 0)
      : this.byId(command.id as AddressId);
    if (!endpoint) return refuse(ERRNO.EINVAL, "address not found");
    if (command.flags & fullmesh && endpoint.flags & (signal | implicit)) {
      return refuse(ERRNO.EINVAL, "invalid addr flags");
    }
    const mask = backup | fullmesh;
    const changed = (command.flags ^ endpoint.flags) & mask;
    return { ok: { endpoint: this.#replace(endpoint, (endpoint.flags & ~mask) | (command.flags & mask)), changed } };
  }

  /** mptcp_pm_nl_set_limits_doit: both or neither. */
  setLimits(wanted: { subflows?: number | undefined; addAddrAccepted?: number | undefined }): Refusal | undefined {
    const max = this.#bounds.limitMax;
    for (const limit of [wanted.addAddrAccepted, wanted.subflows]) {
      if (limit !== undefined && limit > max) {
        return refuse(ERRNO.EINVAL, `limit greater than maximum (${max})`).refused;
      }
    }
    this.revision++;
    this.limits = {
      subflows: wanted.subflows ?? this.limits.subflows,
      addAddrAccepted: wanted.addAddrAccepted ?? this.limits.addAddrAccepted,
    };
    return undefined;
  }

  byId(id: AddressId): Endpoint | undefined {
    return this.list.find((endpoint) => endpoint.id === id);
  }

  /** __lookup_addr: ports are compared only when the endpoint has one. */
  byAddress(address: Address, port: number): Endpoint | undefined {
    return this.list.find((e) => sameAddress(e.address, address) && (e.port === 0 || e.port === port));
  }

  #replace(endpoint: Endpoint, flags: number): Endpoint {
    const changed = { ...endpoint, flags };
    this.revision++;
    this.list[this.list.indexOf(endpoint)] = changed;
    return changed;
  }

  #isTaken(id: AddressId, address?: Address): boolean {
    const isOther = (each: Endpoint): boolean => each.id === id && !(address && sameAddress(each.address, address));
    return this.byId(id) !== undefined || this.away.some(({ endpoint }) => isOther(endpoint));
  }

  /** First free id from `#nextId` on, then from 1; 0: none. */
  #freeId(): AddressId {
    for (const start of [this.#nextId, 1]) {
      for (let id = start; id <= ID_MAX; id++) if (!this.#isTaken(id)) return id;
    }
    return 0;
  }
}
