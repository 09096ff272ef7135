import { type Address, ENDPOINT_FLAG, type Endpoint, sameAddress } from "../types/index.ts";
import {
  attemptOf,
  type ConnectionView,
  familiesMatch,
  type LocalPoint,
  type PairView,
  type RemotePoint,
  type SubflowView,
} from "./policy.ts";

const { subflow, fullmesh, laminar, backup } = ENDPOINT_FLAG;
/** Subflows come from endpoints with one of these. */
const OPENS = subflow | fullmesh | laminar;

/** Where a subflow from an endpoint comes from. */
export function localPoint({ address, id, interfaceIndex, flags }: Endpoint): LocalPoint {
  return { address, endpoint: id, interfaceIndex, backup: (flags & backup) !== 0 };
}

/**
 * Every pair of the connection: most preferred local address first (the table's order), remote ones in order of arrival. An address that
 * is no endpoint is none to open from, also when the connection began with it: its interface may have been switched off.
 */
export function pairsOf(connection: ConnectionView): readonly PairView[] {
  const remotes = remotePoints(connection);
  return connection.endpoints
    .filter(({ flags, port }) => (flags & OPENS) !== 0 && port === 0)
    .flatMap((endpoint) => {
      const local = localPoint(endpoint);
      return remotes
        .filter(({ address }) => familiesMatch(connection.family, local.address, address))
        .map((remote) => new Pair(connection, local, remote));
    });
}

/** An address once, whatever ports were announced: another port is no other path. The initial one again where id 0 is denied. */
function remotePoints({ initialRemote, denyJoinId0, remotes }: ConnectionView): readonly RemotePoint[] {
  const points: RemotePoint[] = [initialRemote];
  for (const point of remotes) {
    if (point.state === "refused" || point.id === 0) continue;
    const known = points.find(({ address }) => sameAddress(address, point.address));
    if (!known || (known.id === 0 && denyJoinId0)) points.push(point);
  }
  return points;
}

class Pair implements PairView {
  readonly local: LocalPoint;
  readonly remote: RemotePoint;
  readonly #connection: ConnectionView;

  constructor(connection: ConnectionView, local: LocalPoint, remote: RemotePoint) {
    this.#connection = connection;
    this.local = local;
    this.remote = remote;
  }

  get subflows(): readonly SubflowView[] {
    return this.#connection.subflows.filter(({ state, path }) => state !== "closing" && isBetween(path, this));
  }

  get attempt() {
    return attemptOf(this.#connection.attempts, this.local.address, this.remote.address);
  }

  get blocked(): string {
    return whyBlocked(this.#connection, this);
  }
}

interface Ends {
  readonly local: { readonly address: Address };
  readonly remote: { readonly address: Address };
}

function isBetween(path: Ends, { local, remote }: Ends): boolean {
  return sameAddress(path.local.address, local.address) && sameAddress(path.remote.address, remote.address);
}

/** Why there can be no subflow of the pair; "": there can. */
export function whyBlocked(connection: ConnectionView, { local, remote }: Pick<PairView, "local" | "remote">): string {
  if (remote.id === 0 && connection.denyJoinId0) return "the peer denies joins to its initial address";
  return attemptOf(connection.attempts, local.address, remote.address)?.ended ?? "";
}
