import * as connections from "./checks/connections.ts";
import * as endpoints from "./checks/endpoints.ts";
import * as filter from "./checks/filter.ts";
import * as kernel from "./checks/kernel.ts";
import * as limits from "./checks/limits.ts";
import * as manager from "./checks/path-manager.ts";
import * as routing from "./checks/routing.ts";
import * as traffic from "./checks/traffic.ts";
import type { DoctorFacts } from "./facts.ts";
import type { Finding, Remark } from "./finding.ts";
import { pathAddresses } from "./view.ts";

/** One row of the doctor's list: what it looks at, in the order of printing. */
export interface Check {
  readonly id: string;
  /** What is well when it finds nothing. */
  readonly well: string;
  /** False: it could not be looked at, and silence says nothing. */
  readonly isKnown?: (facts: DoctorFacts) => boolean;
  readonly find: (facts: DoctorFacts) => readonly Remark[];
}

const hasTable = ({ limits }: DoctorFacts): boolean => limits !== undefined;
const hasCounters = ({ counters }: DoctorFacts): boolean => Object.keys(counters).length > 0;
const hasFirewall = ({ isFirewallKnown }: DoctorFacts): boolean => isFirewallKnown;
const hasConntrack = ({ sysctls }: DoctorFacts): boolean => sysctls.has("net.netfilter.nf_conntrack_max");
const hasSocket = ({ socket4 }: DoctorFacts): boolean => socket4 === 0;
const hasSocket6 = ({ socket6 }: DoctorFacts): boolean => socket6 === 0;
const hasSwitch = ({ sysctls }: DoctorFacts): boolean => sysctls.has("net.mptcp.enabled");
const hasPath = (facts: DoctorFacts): boolean => pathAddresses(facts).length > 0;
const hasSockets = ({ diag }: DoctorFacts): boolean => diag === 0;

/** Everything that the doctor looks at. */
export const CHECKS: readonly Check[] = [
  { id: "kernel-mptcp", isKnown: hasSocket, well: "the kernel makes MPTCP sockets", find: kernel.checkKernel },
  {
    id: "kernel-mptcp-ipv6",
    isKnown: hasSocket6,
    well: "it makes them over IPv6 too, where IPv6 is used",
    find: kernel.checkKernelIpv6,
  },
  { id: "kernel-diag", isKnown: hasSockets, well: "connections can be listed", find: kernel.checkDiag },
  { id: "mptcp-disabled", isKnown: hasSwitch, well: "net.mptcp.enabled is on", find: kernel.checkEnabled },
  { id: "path-manager-absent", well: "the path manager in charge is there", find: manager.checkPathManagerAbsent },
  {
    id: "path-manager-endpoints",
    well: "endpoints stand in the table that is read",
    find: manager.checkPathManagerEndpoints,
  },
  {
    id: "path-manager-mismatch",
    well: "the daemon and the kernel agree on the path manager",
    find: manager.checkPathManagerMismatch,
  },
  { id: "rivals", well: "one program manages endpoints", find: manager.checkRivals },
  {
    id: "no-endpoints",
    isKnown: hasTable,
    well: "there are endpoints where they are needed",
    find: endpoints.checkNoEndpoints,
  },
  { id: "single-path", isKnown: hasPath, well: "there is more than one path", find: endpoints.checkSinglePath },
  { id: "endpoint-flags", isKnown: hasTable, well: "every endpoint has a use", find: endpoints.checkEndpointFlags },
  {
    id: "endpoint-device",
    isKnown: hasTable,
    well: "devices of endpoints exist and have their addresses",
    find: endpoints.checkEndpointDevice,
  },
  {
    id: "endpoint-address",
    isKnown: hasTable,
    well: "addresses of endpoints exist",
    find: endpoints.checkEndpointAddress,
  },
  {
    id: "endpoint-unusable",
    isKnown: hasTable,
    well: "addresses of endpoints can be used now",
    find: endpoints.checkEndpointUnusable,
  },
  {
    id: "endpoint-signal-on-client",
    isKnown: hasTable,
    well: "clients open subflows rather than announce",
    find: endpoints.checkSignalOnClient,
  },
  {
    id: "endpoint-subflow-on-server",
    isKnown: hasTable,
    well: "servers announce rather than open subflows",
    find: endpoints.checkSubflowOnServer,
  },
  {
    id: "limit-subflows",
    isKnown: hasTable,
    well: "the limit of subflows has room for the endpoints",
    find: limits.checkLimitSubflows,
  },
  {
    id: "limit-add-addr",
    isKnown: hasTable,
    well: "announcements of servers are followed",
    find: limits.checkLimitAddAddr,
  },
  {
    id: "coverage",
    isKnown: hasTable,
    well: "servers with two addresses get a subflow to each",
    find: limits.checkCoverage,
  },
  {
    id: "endpoint-without-device",
    isKnown: hasTable,
    well: "endpoints without a device leave by the interface of their address",
    find: routing.checkEndpointWithoutDevice,
  },
  {
    id: "source-route",
    isKnown: hasTable,
    well: "packets leave by the interface of their address",
    find: routing.checkSourceRoute,
  },
  { id: "rp-filter", isKnown: hasTable, well: "no strict rp_filter in the way", find: routing.checkRpFilter },
  { id: "same-gateway", well: "each interface has a gateway of its own", find: routing.checkSameGateway },
  { id: "duplicate-mac", well: "hardware addresses are different", find: routing.checkDuplicateMac },
  {
    id: "firewall-option",
    isKnown: hasFirewall,
    well: "no firewall rule against MPTCP",
    find: filter.checkFirewallOption,
  },
  {
    id: "firewall-device",
    isKnown: hasFirewall,
    well: "no firewall rule closes an interface to subflows",
    find: filter.checkFirewallDevice,
  },
  {
    id: "firewall-invalid",
    isKnown: hasFirewall,
    well: "no firewall rule against state INVALID",
    find: filter.checkFirewallInvalid,
  },
  { id: "conntrack-full", isKnown: hasConntrack, well: "connection tracking has room", find: filter.checkConntrack },
  { id: "blackhole", isKnown: hasCounters, well: "no blackhole was detected", find: traffic.checkBlackhole },
  {
    id: "fallback",
    isKnown: hasCounters,
    well: "no connection became plain TCP in the handshake",
    find: traffic.checkFallback,
  },
  { id: "middlebox", isKnown: hasCounters, well: "no sign of a middlebox", find: traffic.checkMiddlebox },
  {
    id: "join-rejected",
    isKnown: hasCounters,
    well: "no join of a peer was rejected",
    find: traffic.checkJoinRejected,
  },
  { id: "join-failed", isKnown: hasCounters, well: "our joins are answered", find: traffic.checkJoinFailed },
  {
    id: "connection-fallback",
    isKnown: hasSockets,
    well: "no connection is plain TCP by now",
    find: connections.checkConnectionFallback,
  },
  {
    id: "connection-without-subflow",
    isKnown: hasSockets,
    well: "every connection has a subflow",
    find: connections.checkConnectionWithoutSubflow,
  },
  {
    id: "connection-unmanaged",
    isKnown: hasSockets,
    well: "somebody decides for every connection",
    find: connections.checkConnectionUnmanaged,
  },
  {
    id: "plain-applications",
    isKnown: hasSockets,
    well: "applications use MPTCP",
    find: traffic.checkPlainApplications,
  },
  { id: "buffers", well: "TCP buffers are large enough", find: kernel.checkBuffers },
];

/** Every finding, in the order of {@link CHECKS}; a check that finds nothing gives one of level "ok". */
export function diagnose(facts: DoctorFacts): Finding[] {
  return CHECKS.flatMap(({ id, well, isKnown, find }): Finding[] => {
    const remarks = find(facts);
    if (remarks.length === 0 && !(isKnown?.(facts) ?? true)) return [];
    if (remarks.length === 0) return [{ id, level: "ok", seen: well, why: "", fix: [], safe: false }];
    return remarks.map(({ level, seen, why, fix = [], safe = false }) => ({ id, level, seen, why, fix, safe }));
  });
}
