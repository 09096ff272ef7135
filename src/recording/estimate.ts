import type { Action, EngineEvent, SubflowCreate } from "../engine/index.ts";
import { type Address, ERRNO, type Millis, type Path, type Token, unmap } from "../types/index.ts";

/*
 * What would have become of a subflow that nobody opened? It is estimated, from what the recording tells of the same addresses: it is
 * established after as long as it took then, if its local address is there and the last one between the two was not lost. If it was, the answer is
 * what the recording tells next: one that is established within a second stands for this one too; without that it is lost as the last one was.
 */

/** A join takes so long where none was seen. */
const JOIN_DEFAULT: Millis = 50;
/** Local ports of subflows that nobody opened: above all that a kernel gives. */
const PORTS_FROM = 61_000;
const PORTS_TO = 65_535;

/** What is known of the way between two addresses. */
interface Way {
  /** When one was asked for that has not been answered. */
  asked?: Millis | undefined;
  /** From the question to the answer, the last time. */
  took?: Millis | undefined;
  /** Why the last one was lost or refused; undefined: it was not. */
  errno?: number | undefined;
  /** A join of now that waits for what becomes of one of then. */
  waiting?: EngineEvent | undefined;
}

/** An event that would have come. */
export interface Coming {
  readonly at: Millis;
  readonly event: EngineEvent;
  /** False: it does not come after all. */
  readonly isStill?: (() => boolean) | undefined;
}

/** So long a join waits for what the recording tells. */
const DOUBT: Millis = 1000;

/** Ends of subflows, without the local port, which the kernel chooses. */
export function wayOf(
  token: Token,
  local: Address,
  remote: { readonly address: Address; readonly port: number },
): string {
  return `${token} ${unmap(local)} ${unmap(remote.address)} ${remote.port}`;
}

/** The network of a recording, for subflows that were not there. */
export class Estimate {
  readonly #ways = new Map<string, Way>();
  readonly #sources = new Map<Address, Address>();
  #addresses: ReadonlySet<Address> | undefined;
  #port = PORTS_FROM;

  /** The addresses of the host, as its engine reads them: the other is told of them a moment later. */
  learnAddresses(addresses: Iterable<Address>): void {
    this.#addresses = new Set([...addresses].map(unmap));
  }

  /** What was recorded: told before it is played. @returns what follows from it for joins of now */
  learn(event: EngineEvent, actions: readonly Action[], at: Millis): readonly Coming[] {
    const following: Coming[] = [];
    if (event.type === "host.addresses") this.learnAddresses(event.addresses);
    else if (event.type === "subflow.established") {
      const way = this.#way(event.token, event.path);
      if (way.asked !== undefined) way.took = at - way.asked;
      if (way.waiting) following.push({ at, event: way.waiting });
      way.asked = way.errno = way.waiting = undefined;
    } else if (event.type === "subflow.closed") this.#way(event.token, event.path).errno = event.errno || undefined;
    else if (event.type === "action.failed" && event.action.type === "subflow.create")
      this.#create(event.action).errno = event.errno;
    else if (event.type === "action.done" && event.action.type === "route.query" && event.source)
      this.#sources.set(event.action.remote.address, event.source);
    else if (event.type === "connection.closed") this.#forget(event.token);
    for (const action of actions) if (action.type === "subflow.create") this.#create(action).asked = at;
    return following;
  }

  /** What the kernel would have answered at once, and what would have come later. */
  answer(
    action: Action,
    at: Millis,
  ): { readonly outcome: EngineEvent | undefined; readonly coming: readonly Coming[] } {
    switch (action.type) {
      case "subflow.create":
        return this.#open(action, at);
      case "subflow.destroy": {
        const { token, path } = action;
        const event: EngineEvent = { type: "subflow.closed", token, path, localId: 0, remoteId: 0 };
        return { outcome: { type: "action.done", action }, coming: [{ at, event }] };
      }
      case "route.query": {
        const source = this.#sources.get(action.remote.address);
        if (source) return { outcome: { type: "action.done", action, source }, coming: [] };
        return { outcome: { type: "action.failed", action, errno: ERRNO.ENETUNREACH, message: "" }, coming: [] };
      }
      case "subflow.setBackup":
      case "address.announce":
      case "address.remove":
      case "listener.open":
      case "listener.close":
        return { outcome: { type: "action.done", action }, coming: [] };
      default:
        return { outcome: undefined, coming: [] };
    }
  }

  #open(action: SubflowCreate, at: Millis): ReturnType<Estimate["answer"]> {
    const way = this.#create(action);
    const isThere = !this.#addresses || this.#addresses.has(unmap(action.local.address));
    if (!isThere)
      return { outcome: { type: "action.failed", action, errno: ERRNO.EADDRNOTAVAIL, message: "" }, coming: [] };
    const { token, localId, remoteId, remote } = action;
    const local = { ...action.local, port: action.local.port || this.#nextPort() };
    const event: EngineEvent = {
      ...{ type: "subflow.established", token, path: { local, remote }, localId, remoteId, backup: false },
    };
    const outcome: EngineEvent = { type: "action.done", action };
    const { errno } = way;
    if (errno === undefined) return { outcome, coming: [{ at: at + (way.took ?? JOIN_DEFAULT), event }] };
    way.waiting = event;
    const lost: EngineEvent = { type: "subflow.closed", token, path: event.path, localId, remoteId, errno };
    const isStill = (): boolean => {
      const isWaiting = way.waiting === event;
      if (isWaiting) way.waiting = undefined;
      return isWaiting;
    };
    return { outcome, coming: [{ at: at + DOUBT, event: lost, isStill }] };
  }

  #create({ token, local, remote }: SubflowCreate): Way {
    return this.#at(wayOf(token, local.address, remote));
  }

  #way(token: Token, { local, remote }: Path): Way {
    return this.#at(wayOf(token, local.address, remote));
  }

  #at(key: string): Way {
    let way = this.#ways.get(key);
    if (!way) {
      way = {};
      this.#ways.set(key, way);
    }
    return way;
  }

  #forget(token: Token): void {
    for (const key of this.#ways.keys()) if (key.startsWith(`${token} `)) this.#ways.delete(key);
  }

  #nextPort(): number {
    this.#port = this.#port >= PORTS_TO ? PORTS_FROM : this.#port + 1;
    return this.#port;
  }
}
