import type { Connection, SubflowInfo } from "../types/index.ts";

/** What keeps a whole connection from having subflows decided for it; `subflow why` and the doctor say the same. */
export interface Standing {
  readonly id: "connection-fallback" | "connection-without-subflow" | "connection-unmanaged";
  /** What is the matter: the end of a sentence that begins with "It". */
  readonly seen: string;
  readonly why: string;
  readonly remedy: string;
}

/** Who decides for connections here. */
export interface Steering {
  /** The path manager of Subflow's daemon; undefined: none answers. */
  readonly daemon: "kernel" | "userspace" | undefined;
  /** Does the daemon know the connection? undefined: it was not asked. */
  readonly isManaged: boolean | undefined;
}

/** States of TCP in which a subflow carries data one way at least. */
const CARRIES: readonly SubflowInfo["state"][] = ["established", "close-wait", "fin-wait-1", "fin-wait-2"];

/** Everything that holds for the connection as a whole; empty: its endpoints alone tell what subflows it has. */
export function standingOf(connection: Connection, steering: Steering): Standing[] {
  if (connection.fallback) return [FALLBACK];
  const unmanaged = whyUnmanaged(connection, steering);
  return [...(hasNoSubflow(connection) ? [WITHOUT_SUBFLOW] : []), ...(unmanaged ? [unmanaged] : [])];
}

function hasNoSubflow({ state, subflows }: Connection): boolean {
  return state === "established" && !subflows.some((subflow) => CARRIES.includes(subflow.state));
}

const FALLBACK: Standing = {
  id: "connection-fallback",
  seen: "fell back to plain TCP",
  why: "The peer, or something on the way, does not do MPTCP or damaged it. It keeps its one path for the rest of its life.",
  remedy: "new connections try MPTCP again; `subflow doctor --path HOST` tells which path takes MPTCP out",
};

const WITHOUT_SUBFLOW: Standing = {
  id: "connection-without-subflow",
  seen: "has no subflow left",
  why: "Nothing can be sent or received until one is opened; the kernel closes the connection net.mptcp.close_timeout seconds after its last subflow went.",
  remedy:
    "bring a link, an address or a route of it back, `subflow doctor` says what is missing; `sysctl net.mptcp.close_timeout=3600` gives it more time",
};

function whyUnmanaged({ pathManager }: Connection, { daemon, isManaged }: Steering): Standing | undefined {
  const unmanaged = (seen: string, why: string, remedy: string): Standing => ({
    id: "connection-unmanaged",
    seen,
    why,
    remedy,
  });
  if (pathManager === "kernel" && daemon === "userspace") {
    return unmanaged(
      "belongs to the in-kernel path manager, not to the daemon",
      "It was made before the userspace path manager took over, and stays with the in-kernel one for life: the kernel's own endpoints count for it.",
      "the application may connect again; new connections are the daemon's",
    );
  }
  if (pathManager !== "userspace") return undefined;
  if (daemon === undefined) {
    return unmanaged(
      "belongs to a userspace path manager, and no Subflow daemon answers here",
      "Unless another path manager runs (mptcpd, say), nobody opens subflows for it or follows what its peer announces.",
      "start `subflow run --path-manager userspace`: it takes over the connections that exist",
    );
  }
  if (daemon === "kernel") {
    return unmanaged(
      "belongs to a userspace path manager, and the Subflow daemon here looks after the in-kernel one",
      "It was made while net.mptcp.path_manager was userspace. Nobody opens subflows for it, unless another path manager runs.",
      "restart the daemon as `subflow run --path-manager userspace` to have it taken over, or let the application connect again",
    );
  }
  if (isManaged !== false) return undefined;
  return unmanaged(
    "is not managed by the Subflow daemon",
    "The daemon takes connections that are established, as many as it has room for; this one is not among them.",
    "wait until it is established; `subflow status` shows how many the daemon has",
  );
}
