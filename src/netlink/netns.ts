import { closeSync, constants, openSync } from "node:fs";
import { ERRNO, errnoName } from "../types/index.ts";
import { NetnsError } from "./errors.ts";
import { loadNative } from "./native.ts";

/** Where `ip netns` keeps its names. */
const NAMED = "/run/netns";

/** "blue" → /run/netns/blue; a path stays what it is. */
export function netnsPath(netns: string): string {
  return netns.includes("/") ? netns : `${NAMED}/${netns}`;
}

/** Calls `use` with an open namespace, or -1 for our own, and closes it again. */
export function withNetns<T>(netns: string | undefined, use: (fd: number) => T): T {
  if (netns === undefined) return use(-1);
  const path = netnsPath(netns);
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    const hint = reason === "EACCES" ? "entering it needs root" : "`ip netns list` shows the named ones";
    throw new NetnsError(`cannot open network namespace "${netns}" (${path}): ${reason}; ${hint}`, { cause: error });
  }
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** The inode that names a network namespace on this host (`ls -i /proc/self/ns/net`), the same from inside and outside. */
export function netnsInode(netns?: string): number {
  return withNetns(netns ?? "/proc/self/ns/net", (fd) =>
    checkNetns(Number(loadNative().netnsInode(fd)), "cannot tell which namespace it is", netns),
  );
}

/** SOL_SOCKET, SO_NETNS_COOKIE (asm-generic/socket.h, Linux 5.14), NETLINK_ROUTE. */
const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;
const NETLINK_ROUTE = 0;

/**
 * Names our own network namespace for as long as the machine runs: unlike its inode, which the kernel gives to another one
 * once it is gone. "" before Linux 5.14.
 */
export function netnsCookie(): string {
  const native = loadNative();
  const fd = checkNetns(native.openNetlink(NETLINK_ROUTE, -1, 0), "cannot open a netlink socket", undefined);
  const cookie = new Uint8Array(8);
  const length = native.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie);
  native.close(fd);
  if (length === -ERRNO.ENOPROTOOPT) return "";
  checkNetns(length, "cannot tell which namespace it is", undefined);
  return Buffer.from(cookie).toString("hex");
}

/** Throws for a negative result of a native verb that may enter a namespace. */
export function checkNetns(result: number, what: string, netns: string | undefined): number {
  if (result >= 0) return result;
  const name = errnoName(-result);
  const where = netns === undefined ? "" : ` in network namespace "${netns}"`;
  const hint = name === "EPERM" ? "; entering a network namespace needs CAP_SYS_ADMIN (root)" : "";
  throw new NetnsError(`${what}${where}: ${name}${hint}`, { errno: -result });
}
