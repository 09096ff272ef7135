import { connect as connectTcp } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Attempt } from "../../doctor/index.ts";
import { type Fd, loadNative } from "../../netlink/index.ts";
import { type Address, addressBytes, ERRNO, familyOf, type Millis, TCP_STATE } from "../../types/index.ts";
import { decodeMptcpInfo, MPTCP_INFO_FLAG, type MptcpInfo } from "../../wire/index.ts";

/** asm-generic/socket.h, linux/tcp.h, linux/mptcp.h. */
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_BINDTOIFINDEX = 62;
const SOL_TCP = 6;
const TCP_INFO = 11;
const SOL_MPTCP = 284;
const MPTCP_INFO = 1;

/**
 * Shorter than it takes the kernel to send a SYN without MPTCP: a connection that got so far would make it suspect a
 * blackhole, and do without MPTCP on the whole host for an hour (mptcp_active_detect_blackhole).
 */
const DEADLINE: Millis = 2500;
const POLL: Millis = 2;

/** Where a connection goes from, and to. */
export interface Route {
  readonly local: Address;
  readonly interfaceIndex: number;
  readonly remote: Address;
  readonly port: number;
}

/** Connects with MPTCP; the socket stays open only when it is asked for and both ends agreed. */
export async function tryMptcp(route: Route): Promise<{ attempt: Attempt; fd: Fd }> {
  const native = loadNative();
  const fd = native.mptcpSocket(familyOf(route.local), -1);
  if (fd < 0) return { attempt: { result: "failed", errno: -fd }, fd: -1 };
  const attempt = await connectBound(fd, route);
  if (attempt.result === "mptcp") return { attempt, fd };
  native.close(fd);
  return { attempt, fd: -1 };
}

async function connectBound(fd: Fd, { local, interfaceIndex, remote, port }: Route): Promise<Attempt> {
  const native = loadNative();
  const bytes = (address: Address): Uint8Array => Uint8Array.from(addressBytes(address) ?? []);
  const device = new Uint8Array(Int32Array.of(interfaceIndex).buffer);
  const start = performance.now();
  for (const step of [
    () => native.setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, device),
    () => native.bind(fd, bytes(local), 0, 0),
    () => native.connect(fd, bytes(remote), port),
  ]) {
    const result = step();
    if (result < 0) return { result: "failed", errno: -result };
  }
  for (;;) {
    const duration = performance.now() - start;
    const state = tcpState(fd);
    if (state === "established" || state === "close-wait") {
      const isFallback = ((mptcpInfo(fd)?.flags ?? MPTCP_INFO_FLAG.FALLBACK) & MPTCP_INFO_FLAG.FALLBACK) !== 0;
      return { result: isFallback ? "tcp" : "mptcp", duration };
    }
    if (state !== "syn-sent") return { result: "failed", errno: socketError(fd) || ERRNO.ECONNREFUSED };
    if (duration > DEADLINE) return { result: "silence" };
    await sleep(POLL);
  }
}

function tcpState(fd: Fd): string | undefined {
  const bytes = new Uint8Array(8);
  return loadNative().getsockopt(fd, SOL_TCP, TCP_INFO, bytes) > 0 ? TCP_STATE[bytes[0]!] : undefined;
}

function socketError(fd: Fd): number {
  const bytes = new Uint8Array(4);
  loadNative().getsockopt(fd, SOL_SOCKET, SO_ERROR, bytes);
  return new Int32Array(bytes.buffer)[0]!;
}

/** What the kernel says of a connection of ours; undefined once it is plain TCP. */
export function mptcpInfo(fd: Fd): MptcpInfo | undefined {
  const bytes = new Uint8Array(256);
  const length = loadNative().getsockopt(fd, SOL_MPTCP, MPTCP_INFO, bytes);
  return length > 0 ? decodeMptcpInfo(bytes, 0, length) : undefined;
}

/** The same with plain TCP, bound to the address only: Node's sockets cannot be bound to a device. */
export function tryPlain({ local, remote, port }: Route): Promise<Attempt> {
  return new Promise((resolve) => {
    const start = performance.now();
    const socket = connectTcp({ host: remote, port, localAddress: local });
    const end = (attempt: Attempt): void => {
      socket.destroy();
      resolve(attempt);
    };
    socket.setTimeout(DEADLINE, () => end({ result: "silence" }));
    socket.once("connect", () => end({ result: "tcp", duration: performance.now() - start }));
    socket.once("error", (error: NodeJS.ErrnoException) =>
      end({ result: "failed", errno: -(error.errno ?? -ERRNO.EIO) }),
    );
  });
}
