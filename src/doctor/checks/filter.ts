import type { DoctorFacts } from "../facts.ts";
import type { Remark } from "../finding.ts";
import type { FirewallSuspect } from "../firewall.ts";

const LEVEL = { option: "error", strip: "error", invalid: "note" } as const;
const SEEN = {
  option: "drops packets with TCP option 30 (MPTCP)",
  strip: "takes TCP option 30 (MPTCP) out",
  invalid: "drops what connection tracking calls INVALID",
} as const;
const WHY = {
  option: "Connections and joins that pass it fail, or become plain TCP after lost SYNs.",
  strip: "Connections that pass it become plain TCP.",
  invalid:
    "Harmless in itself; but a subflow whose packets take another way out than in is INVALID to it. net.netfilter.nf_conntrack_tcp_be_liberal=1 is the milder cure.",
} as const;

function remark({ tool, kind, rule, remove }: FirewallSuspect): Remark {
  return {
    level: LEVEL[kind],
    seen: `${tool} rule ${rule} ${SEEN[kind]}`,
    why: WHY[kind],
    fix: [{ type: "shell", command: remove }],
  };
}

/** Firewall rules about MPTCP's option. */
export function checkFirewallOption({ firewall }: DoctorFacts): Remark[] {
  return firewall.filter(({ kind }) => kind !== "invalid").map(remark);
}

/** Firewall rules about state INVALID; only where connection tracking is strict. */
export function checkFirewallInvalid({ firewall, sysctls }: DoctorFacts): Remark[] {
  if (sysctls.get("net.netfilter.nf_conntrack_tcp_be_liberal") === "1") return [];
  return firewall.filter(({ kind }) => kind === "invalid").map(remark);
}

/** Above this share connection tracking begins to drop new connections soon. */
const FULL = 0.9;

/** Room for one more tracked subflow. */
export function checkConntrack({ sysctls }: DoctorFacts): Remark[] {
  const count = Number(sysctls.get("net.netfilter.nf_conntrack_count"));
  const max = Number(sysctls.get("net.netfilter.nf_conntrack_max"));
  if (!(max > 0) || !(count > max * FULL)) return [];
  return [
    {
      level: "warning",
      seen: `connection tracking is nearly full: ${count} of ${max}`,
      why: "When it is full, SYNs are dropped; each subflow is a connection of its own to it.",
      fix: [{ type: "sysctl", name: "net.netfilter.nf_conntrack_max", value: String(2 * max) }],
    },
  ];
}
