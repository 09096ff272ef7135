import { closeSync, constants, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { ERRNO, errnoName } from "../types/index.ts";
import { NetlinkError } from "./errors.ts";
import { loadNative } from "./native.ts";
import { checkNetns, withNetns } from "./netns.ts";

/** net.mptcp.* of every kernel so far (linux-mptcp sysctl documentation); which exist is found by trying. */
export const MPTCP_SYSCTLS = [
  "enabled",
  "pm_type",
  "path_manager",
  "available_path_managers",
  "scheduler",
  "available_schedulers",
  "add_addr_timeout",
  "add_addr_v6_port_drop_ts",
  "allow_join_initial_addr_port",
  "blackhole_timeout",
  "checksum_enabled",
  "close_timeout",
  "stale_loss_cnt",
  "syn_retrans_before_tcp_fallback",
] as const;

/** Opens a file of /proc/self/net or /proc/sys/net as it is in a network namespace; ours when absent. @returns its descriptor, or minus the errno */
export function openIn(path: string, flags: number, netns: string | undefined): number {
  return withNetns(netns, (fd) => loadNative().openFile(path, flags, fd));
}

/** Reads a file of /proc that shows the namespace of its opener; undefined when it does not exist. */
export function readProc(path: string, netns?: string): string | undefined {
  if (netns === undefined) return readHere(path);
  const fd = openIn(path, constants.O_RDONLY, netns);
  if (fd === -2) return undefined;
  checkNetns(fd, `cannot read ${path}`, netns);
  try {
    return readFileSync(fd, "latin1");
  } finally {
    closeSync(fd);
  }
}

/** Our own namespace needs no native code: without the addon this still works. */
function readHere(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * As sysctl(8): dots separate, and a slash stands for a dot inside a name (`net.ipv4.conf.eth0/5.rp_filter`).
 * @throws NetlinkError (EINVAL) for what would leave /proc/sys or name nothing: "..", an empty part
 */
function sysctlPath(name: string): string {
  const parts = name.split(".").map((part) => part.replaceAll("/", "."));
  if (parts.some((part) => ["", ".", ".."].includes(part) || part.includes("\0"))) {
    throw new NetlinkError(`sysctl ${JSON.stringify(name)}`, {
      errno: ERRNO.EINVAL,
      kernelMessage: "this cannot be the name of a sysctl",
    });
  }
  return `/proc/sys/${parts.join("/")}`;
}

/** "net.mptcp.enabled" → "1"; undefined when this kernel has no such sysctl. */
export function readSysctl(name: string, netns?: string): string | undefined {
  return readProc(sysctlPath(name), netns)?.trim();
}

/** @throws NetlinkError naming the sysctl, when it does not exist or may not be written */
export function writeSysctl(name: string, value: string, netns?: string): void {
  const fd = openIn(sysctlPath(name), constants.O_WRONLY, netns);
  if (fd < 0) {
    const kernelMessage = fd === -ERRNO.EROFS ? readOnly(name) : undefined;
    throw new NetlinkError(`sysctl ${name}`, { errno: -fd, kernelMessage });
  }
  try {
    writeFileSync(fd, value);
  } catch (error) {
    const errno = -((error as NodeJS.ErrnoException).errno ?? -5);
    throw new NetlinkError(`sysctl ${name}=${value}`, { errno, kernelMessage: errnoName(errno) });
  } finally {
    closeSync(fd);
  }
}

/** As container engines have it. */
function readOnly(name: string): string {
  return `${name} cannot be set: /proc/sys is read-only here, as in containers; let it be written (podman --security-opt unmask=/proc/sys, docker --security-opt systempaths=unconfined)`;
}

/** Every net.mptcp.* of a namespace that this kernel has: name without prefix → value. */
export function readMptcpSysctls(netns?: string): Map<string, string> {
  const names = new Set<string>(MPTCP_SYSCTLS);
  // A newer kernel may have more than we know; the directory shows those of our own namespace, and names are the same in all.
  for (const name of listHere("/proc/sys/net/mptcp")) names.add(name);
  const values = new Map<string, string>();
  for (const name of names) {
    const value = readSysctl(`net.mptcp.${name}`, netns);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

function listHere(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** The MPTcpExt counters of /proc/net/netstat: "MPJoinSynRx" → 3. Empty without MPTCP. */
export function readCounters(netns?: string): Record<string, number> {
  const counters: Record<string, number> = {};
  const lines = (readProc("/proc/thread-self/net/netstat", netns) ?? "").split("\n");
  const [names, values] = lines.filter((line) => line.startsWith("MPTcpExt:")).map((line) => line.split(" "));
  if (!names || !values) return counters;
  for (let i = 1; i < names.length; i++) counters[names[i]!] = Number(values[i]);
  return counters;
}

/** Further groups are not shown in /proc/net/netlink. */
const GROUPS_SHOWN = 32;

/** Does a socket of the namespace listen to a multicast group of a netlink protocol? undefined: it cannot be seen. */
export function hasNetlinkListener(protocol: number, group: number, netns?: string): boolean | undefined {
  if (group < 1 || group > GROUPS_SHOWN) return undefined;
  const [, ...lines] = (readProc("/proc/thread-self/net/netlink", netns) ?? "").trim().split("\n");
  return lines.some((line) => {
    const [, itsProtocol, , groups] = line.trim().split(/\s+/);
    return Number(itsProtocol) === protocol && ((Number.parseInt(groups ?? "0", 16) >>> (group - 1)) & 1) === 1;
  });
}

/** Which path manager new sockets of the namespace get; undefined without MPTCP. Works before and after Linux 6.15. */
export function readPathManager(netns?: string): string | undefined {
  const name = readSysctl("net.mptcp.path_manager", netns);
  if (name !== undefined) return name;
  const type = readSysctl("net.mptcp.pm_type", netns);
  return type === undefined ? undefined : type === "0" ? "kernel" : "userspace";
}

interface SysctlValue {
  readonly name: string;
  /** Of this process's own namespace. */
  readonly file: string;
  readonly value: string;
}

/** The sysctl, of those that this kernel has, that sets the path manager of new sockets, and its value for one of them. */
export function pathManagerSysctl(manager: "kernel" | "userspace", netns?: string): SysctlValue {
  const isNamed = readSysctl("net.mptcp.path_manager", netns) !== undefined;
  const name = isNamed ? "net.mptcp.path_manager" : "net.mptcp.pm_type";
  const number = manager === "kernel" ? "0" : "1";
  return { name, file: sysctlPath(name), value: isNamed ? manager : number };
}

/** Sets the path manager of new sockets, by whichever sysctl this kernel has. */
export function writePathManager(manager: "kernel" | "userspace", netns?: string): void {
  const { name, value } = pathManagerSysctl(manager, netns);
  writeSysctl(name, value, netns);
}
