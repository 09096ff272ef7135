import { ask, NoDaemonError } from "../../control/index.ts";
import { type DoctorFacts, type Outcome, pathAddresses } from "../../doctor/index.ts";
import { rpFilterName } from "../../host/index.ts";
import { findRivals, HostReader } from "../../host-facts/index.ts";
import {
  hasNetlinkListener,
  listListeners,
  listPlainTcp,
  loadNative,
  MptcpPm,
  NETLINK,
  NetlinkError,
  NetnsError,
  Rtnl,
  readCounters,
  readMptcpSysctls,
  readPathManager,
  readSysctl,
  UnsupportedError,
} from "../../netlink/index.ts";
import {
  type Address,
  AF_INET,
  AF_INET6,
  type Connection,
  ERRNO,
  SubflowError,
  type Token,
  unmap,
} from "../../types/index.ts";
import { RTN } from "../../wire/index.ts";
import { readFirewall } from "./firewall.ts";
import { Looking } from "./looking.ts";
import { probeRoutes } from "./routes.ts";

/** Sysctls beside net.mptcp.* and rp_filter that a check reads. */
const SYSCTLS = [
  "net.ipv4.tcp_rmem",
  "net.ipv4.tcp_wmem",
  "net.netfilter.nf_conntrack_tcp_be_liberal",
  "net.netfilter.nf_conntrack_count",
  "net.netfilter.nf_conntrack_max",
];

const EVENTS_GROUP = "mptcp_pm_events";

/**
 * Looks at everything in the process's own network namespace; enter another one first.
 * @param isForeign the namespace is not the one whose interfaces the mounted sysfs shows
 */
export async function gatherFacts({ isForeign }: { isForeign: boolean }): Promise<DoctorFacts> {
  const looking = new Looking();
  const table = await readTable(looking);
  const network = looking.at("interfaces, addresses and routes", () => readNetwork(isForeign), NO_NETWORK);
  const sockets = readSockets(looking);
  const partial: DoctorFacts = {
    ...table,
    ...network,
    ...sockets,
    socket4: socketOutcome(AF_INET),
    socket6: socketOutcome(AF_INET6),
    sysctls: readSysctls(network.links.map(({ name }) => name)),
    pathManager: readPathManager(),
    managers: looking.at("other programs that manage endpoints", () => findRivals(), []),
    counters: looking.at("MPTCP counters", () => readCounters(), {}),
    ...readFirewall(looking),
    managed: await readManaged(table.daemon, sockets.connections, looking),
    ...NO_ROUTES,
    notLooked: looking.notLooked,
  };
  return { ...partial, ...looking.at("routing by source address", () => askRoutes(partial), NO_ROUTES) };
}

/** 0, or why an application here gets no MPTCP socket. */
function socketOutcome(family: number): Outcome {
  const native = loadNative();
  const fd = native.mptcpSocket(family, -1);
  if (fd < 0) return -fd;
  native.close(fd);
  return 0;
}

type Table = Pick<DoctorFacts, "daemon" | "eventListener" | "endpoints" | "kernelEndpoints" | "limits">;

async function readTable(looking: Looking): Promise<Table> {
  const kernel = looking.at<Omit<Table, "daemon">>("the kernel's endpoints and limits", readKernelTable, NO_TABLE);
  try {
    const { pathManager } = await ask("hello", {});
    if (pathManager === "kernel") return { ...kernel, daemon: "kernel" };
    const [endpoints, limits] = await Promise.all([ask("endpoint.list", {}), ask("limits.get", {})]);
    return { ...kernel, daemon: "userspace", endpoints, limits };
  } catch (error) {
    if (!(error instanceof SubflowError)) throw error;
    if (!(error instanceof NoDaemonError)) looking.skip("Subflow's daemon", error.message);
    // Nobody has a table in userspace mode: the kernel's is not read, and says nothing of subflows.
    const isUserspace = readPathManager() === "userspace";
    return { ...kernel, ...(isUserspace && { endpoints: [], limits: undefined }), daemon: undefined };
  }
}

const NO_TABLE = { eventListener: undefined, endpoints: [], kernelEndpoints: [], limits: undefined };

function readKernelTable(): Omit<Table, "daemon"> {
  using pm = MptcpPm.open();
  const endpoints = pm.endpoints();
  const eventListener = hasNetlinkListener(NETLINK.GENERIC, pm.family.groups.get(EVENTS_GROUP) ?? 0);
  return { eventListener, endpoints, kernelEndpoints: endpoints, limits: pm.limits() };
}

/** As many tokens as one request may have. */
const ASKED_MAX = 1000;

/** Which of the connections the daemon knows. */
async function readManaged(
  daemon: Table["daemon"],
  connections: readonly Connection[],
  looking: Looking,
): Promise<ReadonlySet<Token> | undefined> {
  if (daemon !== "userspace") return undefined;
  const tokens = connections.filter(({ pathManager }) => pathManager === "userspace").map(({ token }) => token);
  if (tokens.length > ASKED_MAX) {
    looking.skip(
      "whether the daemon manages every connection",
      `there are ${tokens.length}, and it is asked for ${ASKED_MAX} at most`,
    );
    return undefined;
  }
  try {
    const answers = await ask("why", { tokens });
    return new Set(tokens.filter((_, index) => answers[index] !== null));
  } catch (error) {
    if (!(error instanceof SubflowError)) throw error;
    looking.skip("whether the daemon manages every connection", error.message);
    return undefined;
  }
}

type Network = Pick<DoctorFacts, "links" | "addresses" | "routes" | "rules">;
const NO_NETWORK: Network = { links: [], addresses: [], routes: [], rules: [] };

function readNetwork(isForeign: boolean): Network {
  using host = HostReader.open({ isForeign });
  return { links: host.links(), addresses: host.addresses(), routes: host.routes(), rules: host.rules() };
}

type Sockets = Pick<DoctorFacts, "diag" | "connections" | "listeners" | "plainListeners" | "plainConnections">;

function readSockets(looking: Looking): Sockets {
  let diag: Outcome;
  const connections = looking.at<readonly Connection[]>("MPTCP connections", () => {
    try {
      using pm = MptcpPm.open();
      const found = pm.connections();
      diag = 0;
      return found;
    } catch (error) {
      if (error instanceof UnsupportedError) diag = ERRNO.ENOENT;
      else if (error instanceof NetlinkError || error instanceof NetnsError) diag = error.errno;
      throw error;
    }
  }, []);
  const plain = looking
    .at("plain TCP sockets", () => listPlainTcp(), [])
    .filter(({ path }) => !isLoopback(path.local.address));
  return {
    diag,
    connections,
    listeners: looking.at("MPTCP listeners", () => listListeners().map(({ local }) => local), []),
    plainListeners: plain.filter(({ state }) => state === "listening").map(({ path }) => path.local),
    plainConnections: plain.filter(({ state }) => state === "established").length,
  };
}

function isLoopback(address: Address): boolean {
  return unmap(address).startsWith("127.") || address === "::1";
}

function readSysctls(devices: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of readMptcpSysctls()) values.set(`net.mptcp.${name}`, value);
  for (const name of [...SYSCTLS, ...["all", ...devices].map(rpFilterName)]) {
    const value = readable(name);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

/** Some sysctls are for root alone to read. */
function readable(name: string): string | undefined {
  try {
    return readSysctl(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") return undefined;
    throw error;
  }
}

const NO_ROUTES: Pick<DoctorFacts, "routeProbes" | "localAddresses"> = { routeProbes: [], localAddresses: new Set() };

function askRoutes(facts: DoctorFacts): Pick<DoctorFacts, "routeProbes" | "localAddresses"> {
  using rtnl = Rtnl.open();
  const wanted = [
    ...facts.endpoints.map(({ address }) => address),
    ...pathAddresses(facts).map(({ address }) => address),
  ];
  const isLocal = (address: Address): boolean => rtnl.routeTo(address)?.type === RTN.LOCAL;
  return {
    routeProbes: probeRoutes(rtnl, facts, new Set(wanted.map(unmap))),
    localAddresses: new Set(facts.endpoints.map(({ address }) => address).filter(isLocal)),
  };
}
