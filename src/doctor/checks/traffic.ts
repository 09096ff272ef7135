import { formatSocketAddress } from "../../types/index.ts";
import type { DoctorFacts } from "../facts.ts";
import type { Remark } from "../finding.ts";

type Counters = DoctorFacts["counters"];

/** The named counters that are not 0, as text; "" when there is none. */
function nonZero(counters: Counters, ...names: string[]): string {
  return names
    .filter((name) => (counters[name] ?? 0) > 0)
    .map((name) => `${name} ${counters[name]}`)
    .join(", ");
}

/** The kernel found that a network drops MPTCP, and left it out since. */
export function checkBlackhole({ counters, sysctls }: DoctorFacts): Remark[] {
  const timeout = sysctls.get("net.mptcp.blackhole_timeout");
  if (timeout === "0") return [];
  const seen = nonZero(counters, "Blackhole", "MPCapableSYNTXDisabled");
  if (seen === "") return [];
  return [
    {
      level: (counters.MPCapableSYNTXDisabled ?? 0) > 0 ? "warning" : "note",
      seen: `blackhole detection was in force: ${seen}`,
      why: `A network dropped SYNs with MPTCP, so the kernel made plain TCP connections for ${timeout ?? "3600"} s, on every network, longer each time. Writing the sysctl forgets it at once.`,
      fix: [{ type: "sysctl", name: "net.mptcp.blackhole_timeout", value: timeout ?? "3600" }],
    },
  ];
}

/** Connections that became plain TCP. */
export function checkFallback({ counters }: DoctorFacts): Remark[] {
  const seen = nonZero(counters, "MPCapableFallbackSYNACK", "MPCapableFallbackACK", "MPCapableSYNTXDrop");
  if (seen === "") return [];
  return [
    {
      level: "note",
      seen: `connections became plain TCP in the handshake: ${seen}`,
      why: "The other end has no MPTCP, or something on the way takes the option out. `subflow doctor --path HOST` tells for a host that has it.",
    },
  ];
}

/** Signs of something on the way that changes what passes. */
export function checkMiddlebox({ counters }: DoctorFacts): Remark[] {
  const proofs = nonZero(counters, "MPJoinSynAckHMacFailure", "MPJoinAckHMacFailure");
  const data = nonZero(
    counters,
    ...[
      "MPCapableDataFallback",
      "DSSCorruptionFallback",
      "DSSCorruptionReset",
      "DataCsumErr",
      "MPFailRx",
      "InfiniteMapRx",
    ],
  );
  const remarks: Remark[] = [];
  if (proofs !== "") {
    remarks.push({
      level: "warning",
      seen: `joins with a wrong proof: ${proofs}`,
      why: "The answer came from another host than the first path's: a transparent proxy, a load balancer, or an attack.",
    });
  }
  if (data !== "") {
    remarks.push({
      level: "warning",
      seen: `the mapping of data was lost or damaged: ${data}`,
      why: "Something on the way changes TCP payload or options after the handshake (a proxy, an optimiser); such connections keep to one path.",
    });
  }
  return remarks;
}

/** Joins of peers that were refused here. */
export function checkJoinRejected({ counters, pathManager, limits }: DoctorFacts): Remark[] {
  const rejected = counters.MPJoinRejected ?? 0;
  if (rejected === 0) return [];
  const accepted = counters.MPJoinAckRx ?? 0;
  const atLimit = pathManager === "kernel" && limits !== undefined;
  return [
    {
      level: rejected > accepted ? "warning" : "note",
      seen: `${rejected} join${rejected === 1 ? "" : "s"} of peers rejected, ${accepted} accepted`,
      why: atLimit
        ? "The limit of subflows counts on the accepting side too."
        : "In userspace mode the kernel rejects joins while no path manager listens.",
      fix: atLimit && limits.subflows < 8 ? [{ type: "limits", subflows: limits.subflows + 2 }] : [],
    },
  ];
}

/** Joins of ours that came to nothing. */
export function checkJoinFailed({ counters }: DoctorFacts): Remark[] {
  const remarks: Remark[] = [];
  const local = nonZero(counters, "MPJoinSynTxBindErr", "MPJoinSynTxConnectErr", "MPJoinSynTxCreatSkErr");
  if (local !== "") {
    remarks.push({
      level: "note",
      seen: `subflows failed before their first packet: ${local}`,
      why: "An endpoint's address or route did not exist at that moment; the kernel does not try again.",
    });
  }
  const sent = counters.MPJoinSynTx ?? 0;
  if (sent > 0 && (counters.MPJoinSynAckRx ?? 0) === 0) {
    remarks.push({
      level: "warning",
      seen: `${sent} join${sent === 1 ? "" : "s"} sent, none answered`,
      why: "Routing, a firewall or a middlebox eats them, or peers refuse: see the other findings, and `subflow doctor --path HOST --join`.",
    });
  }
  return remarks;
}

const SHOWN_MAX = 5;

/** Applications that do not ask for MPTCP. */
export function checkPlainApplications({ plainListeners, plainConnections, socket4 }: DoctorFacts): Remark[] {
  if (socket4 !== 0 || plainListeners.length + plainConnections === 0) return [];
  const shown = plainListeners.slice(0, SHOWN_MAX).map(formatSocketAddress).join(", ");
  const more = plainListeners.length > SHOWN_MAX ? `, ... (${plainListeners.length})` : "";
  const listening = shown === "" ? "" : `; listening: ${shown}${more}`;
  return [
    {
      level: "note",
      seen: `${plainConnections} connection${plainConnections === 1 ? " is" : "s are"} plain TCP${listening}`,
      why: "MPTCP is used by applications that ask for it (IPPROTO_MPTCP). Others can be made to: by mptcpize, by GODEBUG for Go programs, by SocketProtocol= for sockets of systemd.",
      fix: [
        { type: "shell", command: "mptcpize run COMMAND" },
        { type: "shell", command: "GODEBUG=multipathtcp=1 COMMAND" },
        { type: "shell", command: "systemctl edit NAME.socket   # [Socket] SocketProtocol=mptcp" },
      ],
    },
  ];
}
