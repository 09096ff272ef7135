import type { LeftOut } from "../engine/index.ts";
import {
  type Connection,
  ENDPOINT_FLAG,
  type Endpoint,
  familyOf,
  type Limits,
  type SubflowInfo,
  sameAddress,
  unmap,
} from "../types/index.ts";

/** What is known of a connection of the in-kernel path manager, which tells no reasons itself. */
export interface KernelSide {
  readonly connection: Connection;
  readonly endpoints: readonly Endpoint[];
  readonly limits: Limits;
}

/** Reasons why endpoints of the in-kernel path manager have no subflow in a connection, from what can be seen of it. */
export function leftOutByKernel({ connection, endpoints, limits }: KernelSide): LeftOut[] {
  const opens = ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.fullmesh;
  return endpoints
    .filter(({ flags }) => flags & opens && !(flags & ENDPOINT_FLAG.implicit))
    .flatMap((endpoint) => {
      const found = whyNoSubflow(endpoint, connection, limits);
      return found ? [{ what: "subflow" as const, id: endpoint.id, address: endpoint.address, ...found }] : [];
    });
}

function from(endpoint: Endpoint) {
  return ({ path }: SubflowInfo): boolean => sameAddress(path.local.address, endpoint.address);
}

function whyNoSubflow(
  endpoint: Endpoint,
  connection: Connection,
  limits: Limits,
): Pick<LeftOut, "reason" | "remedy"> | undefined {
  const { subflows, path, side, extraSubflows, fallback } = connection;
  const own = subflows.find(from(endpoint));
  if (own?.state === "established") return undefined;
  if (fallback)
    return {
      reason: "the connection has fallen back to TCP",
      remedy: "a middlebox may strip MPTCP: see `subflow doctor`",
    };
  if (own)
    return {
      reason: `waiting for the peer's answer (${own.state})`,
      remedy: "see `subflow doctor`: routing, rp_filter, firewall",
    };
  if (sameAddress(path.local.address, endpoint.address)) {
    return {
      reason: "it is the initial subflow's own address, and that one is gone",
      remedy: "delete the endpoint and add it again",
    };
  }
  if (familyOf(unmap(path.remote.address)) !== familyOf(endpoint.address)) {
    return { reason: "the peer's address is of the other family", remedy: "the peer must announce one of this family" };
  }
  if (extraSubflows >= limits.subflows) {
    return {
      reason: `limit reached: ${extraSubflows} of ${limits.subflows} subflows`,
      remedy: "raise it: subflow limits set subflows NR (for new connections)",
    };
  }
  if (side === "server")
    return { reason: "a client has no listener to join", remedy: "servers announce: use the flag signal" };
  return {
    reason:
      "used once already: its subflow was refused, timed out or closed, and the in-kernel path manager does not retry",
    remedy: "`subflow run` brings it back; by hand: delete the endpoint and add it again",
  };
}
