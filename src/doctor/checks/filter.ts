import type { DoctorFacts } from "../facts.ts";
import type { Remark } from "../finding.ts";
import type { FirewallSuspect } from "../firewall.ts";
import { nameOf, pathAddresses } from "../view.ts";

type Kind = FirewallSuspect["kind"];

const LEVEL: Readonly<Record<Kind, Remark["level"]>> = {
  option: "error",
  strip: "error",
  invalid: "note",
  device: "error",
};
const SEEN: Readonly<Record<Kind, string>> = {
  device: "drops what opens subflows",
  option: "drops packets with TCP option 30 (MPTCP)",
  strip: "takes TCP option 30 (MPTCP) out",
  invalid: "drops what connection tracking calls INVALID",
};
const WHY: Readonly<Record<Kind, string>> = {
  device: "A SYN is how every subflow begins: none comes about on this interface.",
  option: "Connections and joins that pass it fail, or become plain TCP after lost SYNs.",
  strip: "Connections that pass it become plain TCP.",
  invalid:
    "Harmless in itself; but a subflow whose packets take another way out than in is INVALID to it. net.netfilter.nf_conntrack_tcp_be_liberal=1 is the milder cure.",
};

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
  return firewall.filter(({ kind }) => kind === "option" || kind === "strip").map(remark);
}

/** Firewall rules that close an interface to new subflows; of the interfaces that have an address, or a device's endpoint. */
export function checkFirewallDevice(facts: DoctorFacts): Remark[] {
  const used = new Set([
    ...pathAddresses(facts).map(({ link }) => link.name),
    ...facts.endpoints.flatMap(({ interfaceIndex }) => (interfaceIndex === 0 ? [] : [nameOf(facts, interfaceIndex)])),
  ]);
  return facts.firewall.flatMap((suspect): Remark[] => {
    const closed = [...used].filter((name) => suspect.devices?.some((device) => isNamed(name, device)));
    if (closed.length === 0) return [];
    const { seen, ...rest } = remark(suspect);
    return [{ ...rest, seen: `${seen} through ${closed.join(" and ")}` }];
  });
}

function isNamed(name: string, device: string): boolean {
  return device.endsWith("*") ? name.startsWith(device.slice(0, -1)) : name === device;
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
