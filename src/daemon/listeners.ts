import { createServer } from "node:net";
import { loadNative, type MptcpPm } from "../netlink/index.ts";
import {
  AF_INET6,
  addressBytes,
  ENDPOINT_FLAG,
  type Endpoint,
  ERRNO,
  familyOf,
  formatSocketAddress,
  type SocketAddress,
  sameAddress,
} from "../types/index.ts";
import { refusalOf } from "./host/endpoint-port.ts";

/** SOL_SOCKET, SO_REUSEADDR, and what only IPv6 sockets need (asm-generic/socket.h, linux/in6.h). */
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
/** As the kernel's own port listeners (mptcp_pm_nl_create_listen_socket). */
const BACKLOG = 1024;
const CLOSE_TRIES = 3;
const ONE = Uint8Array.of(1, 0, 0, 0);

interface OpenListener {
  readonly local: SocketAddress;
  /** It is in the kernel's table, where others can take it away; else it is a socket of ours. */
  readonly inKernel: boolean;
  /** Why it could not be opened again since somebody closed it, positive; 0: it is open. */
  errno: number;
  close(): void;
}

/** A listener that was found closed, and what became of opening it again: 0 or a positive errno. */
export interface Reopened {
  readonly local: SocketAddress;
  readonly errno: number;
}

/**
 * The listeners of announced ports. The kernel's endpoint table opens them also where userspace is the path manager, and only
 * such ones take joins alone: anything else is refused as if nobody listened (pm_listener in net/mptcp/subflow.c). Where the
 * table is full, or the port still has connections of an earlier socket of ours, it is a socket of ours. Nobody can have a port that
 * the kernel's listener has had while a connection of that one lives, or is in TIME-WAIT (a minute after a subflow that was closed from here): it
 * shares its port with nobody (no SO_REUSEADDR), and its connections neither.
 */
export class PortListeners implements Disposable {
  readonly #pm: MptcpPm;
  readonly #open = new Map<string, OpenListener>();

  constructor(pm: MptcpPm) {
    this.#pm = pm;
  }

  /** @returns 0 or a positive errno */
  open(local: SocketAddress): number {
    const key = formatSocketAddress(local);
    if (this.#open.has(key)) return 0;
    const opened = this.#openInKernel(local) ?? openHere(local);
    if (typeof opened === "number") return opened;
    this.#open.set(key, opened);
    return 0;
  }

  /** @returns 0, or ENOENT when it is not open */
  close(local: SocketAddress): number {
    const key = formatSocketAddress(local);
    const listener = this.#open.get(key);
    if (!listener) return ERRNO.ENOENT;
    this.#open.delete(key);
    listener.close();
    return 0;
  }

  has(local: SocketAddress): boolean {
    return this.#open.has(formatSocketAddress(local));
  }

  /** None waits for being opened again. */
  get isWhole(): boolean {
    for (const { errno } of this.#open.values()) if (errno !== 0) return false;
    return true;
  }

  /**
   * Opens again what somebody else has closed: `ip mptcp endpoint flush` takes our listeners with everything else of the kernel's
   * table. One whose port still has connections cannot be opened before they end. @returns what is new since the last time
   */
  reopen(): Reopened[] {
    const inKernel = this.#pm.endpoints();
    const reopened: Reopened[] = [];
    for (const [key, listener] of this.#open) {
      const { local, errno: before } = listener;
      if (!listener.inKernel || inKernel.some((endpoint) => isAt(endpoint, local))) continue;
      const opened = this.#openInKernel(local) ?? openHere(local);
      if (typeof opened === "number") listener.errno = opened;
      else this.#open.set(key, opened);
      const errno = typeof opened === "number" ? opened : 0;
      if (errno === 0 || errno !== before) reopened.push({ local, errno });
    }
    return reopened;
  }

  /**
   * Closes all but those of the kernel's table whose port has subflows: closed, they could not be opened again before the last of these
   * has ended, and no later daemon could announce their port meanwhile. That one finds them, and has them again by opening them.
   */
  end(hasSubflows: (local: SocketAddress) => boolean): void {
    for (const { local, inKernel, close } of this.#open.values()) if (!inKernel || !hasSubflows(local)) close();
    this.#open.clear();
  }

  [Symbol.dispose](): void {
    this.end(() => false);
  }

  /** undefined: it must be a socket of ours, or cannot be. */
  #openInKernel(local: SocketAddress): OpenListener | undefined {
    const refused = refusalOf(() => this.#pm.addEndpoint({ ...local, flags: ENDPOINT_FLAG.signal }));
    // One that is there already was left by a daemon that had no time to close it.
    if (refused && !this.#inKernel(local)) return undefined;
    return {
      local,
      inKernel: true,
      errno: 0,
      close: () => this.#closeInKernel(local),
    };
  }

  /** A listener left behind would take joins for nobody: what fails for a moment is tried again. */
  #closeInKernel(local: SocketAddress): void {
    for (let left = CLOSE_TRIES; left > 0; left--) {
      const refused = refusalOf(() => {
        const endpoint = this.#inKernel(local);
        // Somebody may have flushed the table meanwhile, which closes the listener too.
        if (endpoint) this.#pm.deleteEndpoint({ id: endpoint.id });
      });
      if (!refused) return;
    }
  }

  #inKernel(local: SocketAddress): Endpoint | undefined {
    return this.#pm.endpoints().find((endpoint) => isAt(endpoint, local));
  }
}

function isAt(endpoint: Endpoint, { address, port }: SocketAddress): boolean {
  return endpoint.port === port && sameAddress(endpoint.address, address);
}

/** A join never comes up to accept(2); what comes up is a plain connection, and is reset before a byte is read. */
function openHere(local: SocketAddress): OpenListener | number {
  const native = loadNative();
  const fd = native.mptcpSocket(familyOf(local.address), -1);
  if (fd < 0) return -fd;
  native.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, ONE);
  if (familyOf(local.address) === AF_INET6) native.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, ONE);
  const bytes = Uint8Array.from(addressBytes(local.address) ?? []);
  const result = native.bind(fd, bytes, local.port, 0) || native.listen(fd, BACKLOG);
  if (result < 0) {
    native.close(fd);
    return -result;
  }
  const server = createServer((socket) => socket.resetAndDestroy());
  server.on("error", () => undefined);
  server.listen({ fd });
  return { local, inKernel: false, errno: 0, close: () => server.close() };
}
