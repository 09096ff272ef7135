import type { Token } from "../types/index.ts";
import { MPTCP_INFO_FLAG } from "../wire/index.ts";
import { dumpMptcp, openDiag } from "./connections.ts";

/** A connection that asked for MPTCP and is plain TCP. */
export interface FallenConnection {
  readonly token: Token;
  /** Of the user who made its socket. */
  readonly uid: number;
  /** It was never MPTCP (its peer's key did not come), or has been for a while. */
  readonly at: "handshake" | "later";
}

/**
 * Every such connection of a namespace. No event tells of what falls back in the handshake, and a socket that gave MPTCP up before its first SYN
 * has no token and is not found. @throws UnsupportedError where the kernel cannot list MPTCP sockets
 */
export function listFallen(netns?: string): FallenConnection[] {
  using client = openDiag(netns);
  return dumpMptcp(client).flatMap(({ state, uid, mptcp }): FallenConnection[] => {
    if (state === "listening" || !mptcp || (mptcp.flags & MPTCP_INFO_FLAG.FALLBACK) === 0) return [];
    const isLate = (mptcp.flags & MPTCP_INFO_FLAG.REMOTE_KEY_RECEIVED) !== 0;
    return [{ token: mptcp.token, uid, at: isLate ? "later" : "handshake" }];
  });
}
