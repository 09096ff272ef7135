import { ERRNO, errnoName } from "../../types/index.ts";
import type { DoctorFacts } from "../facts.ts";
import type { Remark } from "../finding.ts";

/** Of an MPTCP socket while net.mptcp.enabled is 0 (mptcp_init_sock). */
const ENOPROTOOPT = 92;
const FORBIDDEN: readonly number[] = [ERRNO.EPERM, ERRNO.EACCES];
const ABSENT: readonly number[] = [ERRNO.EPROTONOSUPPORT, ERRNO.EINVAL];

/** Can an application have an MPTCP socket? */
export function checkKernel({ socket4 }: DoctorFacts): Remark[] {
  if (socket4 === undefined || socket4 === 0 || socket4 === ENOPROTOOPT) return [];
  const seen = `socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP) is refused: ${errnoName(socket4)}`;
  if (FORBIDDEN.includes(socket4)) {
    const why =
      "The kernel may well have MPTCP, but a security policy forbids its sockets: SELinux, AppArmor, or the seccomp filter of a container or unit.";
    const fix = [{ type: "shell", command: "ausearch -m AVC,SECCOMP -ts recent" }] as const;
    return [{ level: "error", seen, why, fix }];
  }
  const why = ABSENT.includes(socket4)
    ? "This kernel was built without MPTCP: every connection is plain TCP."
    : "No application can have an MPTCP socket.";
  return [{ level: "error", seen, why, fix: [{ type: "shell", command: "grep MPTCP /boot/config-$(uname -r)" }] }];
}

/** The same with IPv6, where the host has a use for it. */
export function checkKernelIpv6({ socket4, socket6, addresses }: DoctorFacts): Remark[] {
  if (socket4 !== 0 || socket6 === undefined || socket6 === 0 || socket6 === ENOPROTOOPT) return [];
  const hasIpv6 = addresses.some(({ address, scope }) => address.includes(":") && scope === 0);
  if (!hasIpv6) return [];
  return [
    {
      level: "warning",
      seen: `an IPv6 MPTCP socket is refused: ${errnoName(socket6)}`,
      why: "The host has IPv6 addresses, but connections over them are plain TCP (CONFIG_MPTCP_IPV6 is missing, or a policy forbids it).",
      fix: [{ type: "shell", command: "grep MPTCP_IPV6 /boot/config-$(uname -r)" }],
    },
  ];
}

/** Can connections be listed? */
export function checkDiag({ socket4, diag }: DoctorFacts): Remark[] {
  if (socket4 !== 0 || diag === undefined || diag === 0) return [];
  return [
    {
      level: "note",
      seen: `MPTCP sockets cannot be listed: ${errnoName(diag)}`,
      why: "Connections stay invisible to `subflow connections`, `ss -M` and this command (CONFIG_INET_MPTCP_DIAG).",
      fix: [{ type: "shell", command: "modprobe mptcp_diag" }],
    },
  ];
}

/** Is MPTCP switched on in this namespace? */
export function checkEnabled({ sysctls }: DoctorFacts): Remark[] {
  if (sysctls.get("net.mptcp.enabled") !== "0") return [];
  return [
    {
      level: "error",
      seen: "net.mptcp.enabled is 0",
      why: "Applications that ask for MPTCP get an error or plain TCP.",
      fix: [{ type: "sysctl", name: "net.mptcp.enabled", value: "1" }],
      safe: true,
    },
  ];
}

const BUFFER_MIN = 2 << 20;

/** Room for what one path delivers while another is slow. */
export function checkBuffers({ sysctls }: DoctorFacts): Remark[] {
  return ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"].flatMap((name): Remark[] => {
    const [low, middle, high] = (sysctls.get(name) ?? "").split(/\s+/).map(Number);
    if (low === undefined || middle === undefined || high === undefined || high >= BUFFER_MIN) return [];
    return [
      {
        level: "note",
        seen: `${name} allows at most ${high} bytes`,
        why: "Data of a fast path waits in the buffer for that of a slow one; a small buffer keeps the paths from adding up.",
        fix: [{ type: "sysctl", name, value: `${low} ${middle} ${3 * BUFFER_MIN}` }],
      },
    ];
  });
}
