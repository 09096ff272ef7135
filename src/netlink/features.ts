import { type Address, ENDPOINT_FLAG, ERRNO } from "../types/index.ts";
import { decodeDiagSocket, encodeDiagRequest, IPPROTO, PM_COMMAND, SOCK_DIAG_BY_FAMILY } from "../wire/index.ts";
import { NETLINK, NetlinkClient } from "./client.ts";
import { NetlinkError } from "./errors.ts";
import { MptcpPm } from "./mptcp-pm.ts";
import { loadNative } from "./native.ts";
import { readSysctl } from "./proc.ts";
import { Rtnl } from "./rtnl.ts";

/** What this kernel can do, found by trying it in a network namespace that is thrown away. Never by its version. */
export interface Features {
  /** ANNOUNCE, REMOVE, SUBFLOW_CREATE, SUBFLOW_DESTROY and a sysctl to choose them (Linux 5.19). */
  readonly userspacePathManager: boolean;
  /** Largest value of a limit. It and the rest are undefined where they cannot be tried, as no namespace may be made (CAP_SYS_ADMIN). */
  readonly limitMax: number | undefined;
  readonly endpointsMax: number | undefined;
  /** The kernel counts `laminar` endpoints (Linux 6.18): an older one takes the flag and does nothing. */
  readonly laminar: boolean | undefined;
  /** The kernel counts `fullmesh` endpoints (Linux 6.19): where there is one, no other answers announcements, not even one of another family. */
  readonly fullmeshAlone: boolean | undefined;
  /** GET_ADDR with a token (Linux 6.9). */
  readonly addressesByToken: boolean | undefined;
}

const LIMIT_TRIED_MAX = 255;
const LOOPBACK = 1;

/** How a kernel says that it does not know something, or has no more room for it. A request that was lost says neither. */
const REFUSALS: ReadonlySet<number> = new Set([
  ERRNO.EINVAL,
  ERRNO.ERANGE,
  ERRNO.EEXIST,
  ERRNO.ENOENT,
  ERRNO.ESRCH,
  ERRNO.EOPNOTSUPP,
]);

function takes(attempt: () => void): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (error instanceof NetlinkError && REFUSALS.has(error.errno)) return false;
    throw error;
  }
}

/** The largest n up to `max` that is taken, when all below it are. */
function largest(max: number, taken: (n: number) => boolean): number {
  let low = 0;
  let high = max;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (taken(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** No limit is as large: a kernel that refuses it names its largest, and nothing changes. */
const LIMIT_REFUSED = 0xffff_ffff;

/** The largest limit as a refusal says it; undefined where it does not (before Linux 6.14), or nothing may be set. */
function limitNamed(pm: MptcpPm): number | undefined {
  try {
    pm.setLimits({ subflows: LIMIT_REFUSED });
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    const named = /greater than maximum \((\d+)\)/.exec(error.kernelMessage ?? "")?.[1];
    return named === undefined ? undefined : Number(named);
  }
  return undefined;
}

function countEndpoints(pm: MptcpPm): number {
  let count = 0;
  const add = (n: number) =>
    pm.addEndpoint({ address: `127.1.${n >> 8}.${n & 255}` as Address, flags: ENDPOINT_FLAG.subflow });
  while (count < LIMIT_TRIED_MAX && takes(() => add(count + 1))) count++;
  pm.flushEndpoints();
  return count;
}

/** Which endpoints the kernel counts: one connection over the loopback of the namespace, and its mptcp_info. */
function counted(pm: MptcpPm, fd: number, netns: string): Pick<Features, "laminar" | "fullmeshAlone"> {
  const native = loadNative();
  using rtnl = Rtnl.open({ netns });
  rtnl.setLinkUp(LOOPBACK, true);
  for (const [index, flag] of [ENDPOINT_FLAG.laminar, ENDPOINT_FLAG.fullmesh].entries()) {
    const wanted = { address: `127.0.0.${9 + index}` as Address, flags: flag | ENDPOINT_FLAG.subflow };
    takes(() => pm.addEndpoint(wanted));
  }
  const address = Uint8Array.of(127, 0, 0, 1);
  const listener = native.mptcpSocket(2, fd);
  const client = native.mptcpSocket(2, fd);
  try {
    native.bind(listener, address, 7, 0);
    native.listen(listener, 1);
    // Over the loopback the handshake is over when connect(2) returns.
    native.connect(client, address, 7);
    using diag = new NetlinkClient(NETLINK.SOCK_DIAG, { netns });
    const request = {
      operation: "list MPTCP sockets",
      type: SOCK_DIAG_BY_FAMILY,
      write: (writer: Parameters<typeof encodeDiagRequest>[0]) =>
        encodeDiagRequest(writer, { family: 2, protocol: IPPROTO.MPTCP, states: 1 << 1 }),
    };
    const sockets = diag.dump(request, (bytes, header) => decodeDiagSocket(bytes, header, IPPROTO.MPTCP));
    return {
      laminar: sockets.some(({ mptcp }) => (mptcp?.endpointsLaminar ?? 0) > 0),
      fullmeshAlone: sockets.some(({ mptcp }) => (mptcp?.endpointsFullmesh ?? 0) > 0),
    };
  } finally {
    native.close(client);
    native.close(listener);
  }
}

/**
 * Probes the kernel. Some milliseconds; touches no namespace but its own throw-away one.
 * @throws UnsupportedError without MPTCP; NetlinkError when the kernel does not answer
 */
export function probeFeatures(): Features {
  using own = MptcpPm.open();
  const userspacePathManager =
    own.family.operations.includes(PM_COMMAND.SUBFLOW_CREATE) && readSysctl("net.mptcp.pm_type") !== undefined;
  const native = loadNative();
  const fd = native.newNamespace();
  const unknown = {
    limitMax: limitNamed(own),
    endpointsMax: undefined,
    laminar: undefined,
    fullmeshAlone: undefined,
    addressesByToken: undefined,
  };
  if (fd < 0) return { userspacePathManager, ...unknown };
  try {
    const netns = `/proc/self/fd/${fd}`;
    using pm = MptcpPm.open({ netns });
    return {
      userspacePathManager,
      limitMax: largest(LIMIT_TRIED_MAX, (subflows) => takes(() => pm.setLimits({ subflows }))),
      endpointsMax: countEndpoints(pm),
      ...counted(pm, fd, netns),
      addressesByToken: pm.looksAtTokens,
    };
  } finally {
    native.close(fd);
  }
}
