import type { Token } from "../types/index.ts";
import { IPPROTO } from "../wire/index.ts";
import type { NetlinkClient } from "./client.ts";
import { lookUpSockets, openDiag } from "./connections.ts";
import { unlessRefused } from "./readings.ts";

/** Whose socket a connection is (inet_diag_msg, INET_DIAG_CGROUP_ID). */
export interface SocketIds {
  readonly uid: number;
  /** 0: no process has it, as before accept(2). */
  readonly inode: number;
  /** undefined: this kernel does not say. */
  readonly cgroup: number | undefined;
}

/** Looks up, by tokens, who has connections: some 10 microseconds each. */
export class OwnerReader implements Disposable {
  readonly #client: NetlinkClient;

  constructor(netns?: string) {
    this.#client = openDiag(netns);
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  /** undefined: there is no such connection, or the kernel does not tell. */
  read(token: Token): SocketIds | undefined {
    const [socket] = unlessRefused(() => lookUpSockets(this.#client, IPPROTO.MPTCP, [{ token }]), []);
    if (socket?.mptcp?.token !== token) return undefined;
    const { uid, inode, cgroup } = socket;
    return { uid, inode, cgroup };
  }
}
