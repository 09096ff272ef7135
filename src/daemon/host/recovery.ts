import { endpointKey } from "../../host/index.ts";
import {
  type Address,
  type Connection,
  ENDPOINT_FLAG,
  type Endpoint,
  type Millis,
  MPTCP_EVENT,
  type MptcpEvent,
  unmap,
} from "../../types/index.ts";
import type { Logger } from "../logger.ts";
import type { EndpointPort } from "./endpoint-port.ts";

/** First wait before a lost subflow is tried again, and the longest: doubled each time. */
const RETRY_MIN: Millis = 1000;
const RETRY_MAX: Millis = 60_000;
/** A subflow that lived this long was well: its next loss starts at the shortest wait again. */
const WELL_AFTER: Millis = 60_000;
/** Addresses under watch: more than any host has, so that a peer cannot make it grow. */
const LOSSES_MAX = 256;

interface Loss {
  wait: Millis;
  timer: NodeJS.Timeout;
  at: Millis;
}

export interface RecoveryOptions {
  readonly endpoints: EndpointPort;
  readonly connections: () => readonly Connection[];
  readonly isOwned: (endpoint: Endpoint) => boolean;
  readonly now: () => Millis;
  readonly log: Logger;
}

/** Why the endpoint may not be touched now; undefined: nobody is harmed. */
export function harmOf(endpoint: Endpoint, connections: readonly Connection[]): string | undefined {
  if (endpoint.flags & ENDPOINT_FLAG.signal)
    return "it is announced: taking it back would close what peers opened to it";
  const users = connections.filter(
    ({ subflows, fallback, remoteKeyReceived }) =>
      // What was plain TCP from its handshake on has no part in path management.
      (!fallback || remoteKeyReceived) &&
      subflows.some(({ path, state }) => state !== "closed" && unmap(path.local.address) === endpoint.address),
  );
  return users.length === 0
    ? undefined
    : `${users.length} connection${users.length === 1 ? " has a subflow" : "s have subflows"} from it`;
}

/**
 * Brings lost subflows back. A path manager of the documented behaviour uses an endpoint once a connection; deleting it and
 * adding it again makes it unused in all of them. That closes every subflow from it, so it is done only when there is none.
 */
export class Recovery implements Disposable {
  readonly #options: RecoveryOptions;
  readonly #losses = new Map<Address, Loss>();

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    for (const { timer } of this.#losses.values()) clearTimeout(timer);
    this.#losses.clear();
  }

  /** Takes note of a subflow that was lost, not closed: an error, or a reset that the peer calls transient. */
  onEvent(event: MptcpEvent): void {
    if (event.type !== MPTCP_EVENT.SUB_CLOSED || event.localAddress === undefined) return;
    const lost = (event.error ?? 0) !== 0 || event.resetReason !== undefined;
    if (lost) this.#schedule(unmap(event.localAddress));
  }

  #schedule(address: Address): void {
    const { now } = this.#options;
    const known = this.#losses.get(address);
    if (known && known.at > now()) return;
    if (!known && this.#losses.size >= LOSSES_MAX) return;
    const wait = !known || now() - known.at > WELL_AFTER ? RETRY_MIN : Math.min(known.wait * 2, RETRY_MAX);
    const timer = setTimeout(() => this.#retry(address), wait);
    timer.unref();
    this.#losses.set(address, { wait, timer, at: now() + wait });
  }

  #retry(address: Address): void {
    const { endpoints, connections, isOwned, log } = this.#options;
    const endpoint = endpoints.endpoints().find((each) => each.address === address && isOwned(each));
    if (!endpoint || !(endpoint.flags & (ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.laminar))) {
      this.#losses.delete(address);
      return;
    }
    const harm = harmOf(endpoint, connections());
    if (harm !== undefined) {
      log.info(`a subflow from ${endpointKey(endpoint)} was lost and cannot be brought back now: ${harm}`);
      this.#again(address);
      return;
    }
    const { id, port, flags, interfaceIndex } = endpoint;
    const refused = endpoints.remove({ id }) ?? endpoints.add({ address, id, port, flags, interfaceIndex });
    if (refused) log.warn(`endpoint ${endpointKey(endpoint)} could not be used again: ${refused.message}`);
    else log.info(`endpoint ${endpointKey(endpoint)} is used again: its subflows were lost`);
  }

  /** Others may be done with the endpoint later. */
  #again(address: Address): void {
    const known = this.#losses.get(address);
    if (known) known.at = this.#options.now();
    this.#schedule(address);
  }
}
