import {
  type Address,
  type ConnectionLife,
  ENDPOINT_FLAG,
  type Endpoint,
  type Millis,
  MPTCP_EVENT,
  type MptcpEvent,
  unmap,
} from "../types/index.ts";
import type { HostChange, HostNote } from "./actions.ts";
import { endpointKey } from "./facts.ts";

/** First wait before a lost subflow is tried again, and the longest: doubled each time. */
export const RETRY_MIN: Millis = 1000;
export const RETRY_MAX: Millis = 60_000;
/** A subflow that lived this long was well: its next loss starts at the shortest wait again. */
export const WELL_AFTER: Millis = 60_000;
/** Addresses under watch: more than any host has, so that a peer cannot make it grow. */
export const LOSSES_MAX = 256;

interface Loss {
  readonly wait: Millis;
  /** Of the last retry, or of the next one. */
  readonly at: Millis;
  readonly isDue: boolean;
}

/** What makes one endpoint usable again, and what is said when it has. */
export interface Renewal {
  readonly changes: readonly HostChange[];
  readonly note: HostNote;
}

/** What a retry leads to. */
export interface Retry {
  readonly renewals: readonly Renewal[];
  /** Of those that come to nothing now. */
  readonly notes: readonly HostNote[];
}

export interface RetryContext {
  /** What is to be done anyway. */
  readonly wanted: readonly HostChange[];
  readonly isOwned: (key: string) => boolean;
  readonly now: Millis;
}

/** Why the endpoint may not be touched now; undefined: nobody is harmed. */
function harmOf(endpoint: Endpoint, connections: readonly ConnectionLife[]): string | undefined {
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
export class Recovery {
  readonly #losses = new Map<Address, Loss>();
  /** To be tried now. */
  #trying: readonly Address[] = [];

  get nextTick(): Millis | undefined {
    let next: Millis | undefined;
    for (const { at, isDue } of this.#losses.values()) if (isDue && (next === undefined || at < next)) next = at;
    return next;
  }

  /** Something is to be tried: the table and the connections are needed. */
  get isTrying(): boolean {
    return this.#trying.length > 0;
  }

  /** Takes note of a subflow that was lost, not closed: an error, or a reset that the peer calls transient. */
  onEvent(event: MptcpEvent, now: Millis): void {
    if (event.type !== MPTCP_EVENT.SUB_CLOSED || event.localAddress === undefined) return;
    const lost = (event.error ?? 0) !== 0 || event.resetReason !== undefined;
    if (lost) this.#schedule(unmap(event.localAddress), now);
  }

  #schedule(address: Address, now: Millis): void {
    const known = this.#losses.get(address);
    if (known?.isDue) return;
    if (!known && this.#losses.size >= LOSSES_MAX) return;
    const wait = !known || now - known.at > WELL_AFTER ? RETRY_MIN : Math.min(known.wait * 2, RETRY_MAX);
    this.#losses.set(address, { wait, at: now + wait, isDue: true });
  }

  /** What has waited long enough is to be tried. It waits on meanwhile: a try that comes to no end is followed by another. */
  onTick(now: Millis): boolean {
    const due = [...this.#losses].filter(([, { at, isDue }]) => isDue && at <= now);
    if (due.length === 0) return false;
    this.#trying = due.map(([address]) => address);
    for (const [address, { wait }] of due) {
      const longer = Math.min(wait * 2, RETRY_MAX);
      this.#losses.set(address, { wait: longer, at: now + longer, isDue: true });
    }
    return true;
  }

  /** @param table as it is */
  retry(table: readonly Endpoint[], connections: readonly ConnectionLife[], context: RetryContext): Retry {
    const trying = this.#trying;
    this.#trying = [];
    const renewals: Renewal[] = [];
    const notes: HostNote[] = [];
    for (const address of trying) {
      const endpoint = table.find((each) => each.address === address && context.isOwned(endpointKey(each)));
      if (!endpoint || !(endpoint.flags & (ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.laminar))) {
        this.#losses.delete(address);
        continue;
      }
      if (context.wanted.some((change) => isAbout(change, endpoint))) continue;
      const harm = harmOf(endpoint, connections);
      if (harm === undefined) {
        this.#onRetry(address, context.now);
        renewals.push(renewalOf(endpoint));
      } else
        notes.push(say(`a subflow from ${endpointKey(endpoint)} was lost and cannot be brought back now: ${harm}`));
    }
    return { renewals, notes };
  }

  /** Nothing is due until it is lost again: soon after, it waits twice as long as this time. */
  #onRetry(address: Address, now: Millis): void {
    const { wait } = this.#losses.get(address) ?? { wait: RETRY_MIN };
    this.#losses.set(address, { wait: wait / 2, at: now, isDue: false });
  }
}

/** It is to go or to change anyway. */
function isAbout(change: HostChange, { id }: Endpoint): boolean {
  return (change.type === "endpoint.delete" || change.type === "endpoint.flags") && change.id === id;
}

function say(text: string): HostNote {
  return { type: "say", level: "info", text };
}

/** Makes an endpoint unused in every connection, and leaves it as it is. */
function renewalOf({ id, address, port, flags, interfaceIndex }: Endpoint): Renewal {
  const endpoint = { address, id, port, flags, interfaceIndex, dev: undefined, because: "its subflows were lost" };
  return {
    changes: [
      { type: "endpoint.delete", id, address, port, foreign: false },
      { type: "endpoint.add", endpoint },
    ],
    note: say(`endpoint ${endpointKey(endpoint)} is used again: its subflows were lost`),
  };
}
