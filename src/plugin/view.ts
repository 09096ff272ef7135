import {
  type AttemptView,
  type ConnectionView,
  familiesMatch,
  type Occasion,
  type OpenPair,
  type PairView,
  type PlainOccasion,
  type PlainPair,
  type PlainView,
  type RemotePoint,
} from "../engine/index.ts";
import { type Address, type Dbm, ENDPOINT_FLAG, type Endpoint, sameAddress } from "../types/index.ts";

/** What was sent as plain JSON, as a policy sees it. */
export function restored(plain: PlainView, occasion: PlainOccasion): { view: ConnectionView; occasion: Occasion } {
  const { endpoints } = plain;
  const pairs = plain.pairs.map((pair) => restoredPair(pair, plain));
  const known = (id: number) => endpoints.find((endpoint) => endpoint.id === id);
  const view: ConnectionView = {
    ...plain,
    pairs,
    signals: new Map(Object.entries(plain.signals) as [Address, Dbm][]),
    countEndpoints: (flag) => endpoints.filter(({ flags }) => flags & flag).length,
    costOf: (local) => endpoints.find(({ address }) => sameAddress(address, local))?.cost ?? 0,
    isInitial: ({ id }) => known(id)?.isInitial ?? false,
    localId: ({ id }) => known(id)?.localId ?? id,
    isListed: (id) => known(id)?.isListed ?? false,
    isAnnounced: (id) => known(id)?.isAnnounced ?? false,
    pairOf: (endpoint, remote) => pairOf(plain, endpoint, remote),
  };
  return { view, occasion: restoredOccasion(occasion, plain) };
}

function restoredPair({ local, remote, subflows, attempt, blocked }: PlainPair, plain: PlainView): PairView {
  return {
    ...{ local, remote, blocked },
    subflows: subflows.flatMap((place) => plain.subflows[place] ?? []),
    attempt: attempt === null ? undefined : (plain.attempts[attempt] as AttemptView),
  };
}

function pairOf(plain: PlainView, endpoint: Endpoint, remote: RemotePoint): OpenPair | undefined {
  if (remote.id === 0 && plain.denyJoinId0) return undefined;
  if (!familiesMatch(plain.family, endpoint.address, remote.address)) return undefined;
  const { address, id, interfaceIndex, flags } = endpoint;
  const local = { address, endpoint: id, interfaceIndex, backup: (flags & ENDPOINT_FLAG.backup) !== 0 };
  return { local, remote: { id: remote.id, address: remote.address, port: remote.port } };
}

/** A thing that is gone since leaves no more than what happened. */
function restoredOccasion({ subflow, remote, endpoint, ...facts }: PlainOccasion, plain: PlainView): Occasion {
  const things = {
    ...(typeof subflow === "number" && { subflow: plain.subflows[subflow] }),
    ...(typeof remote === "number" && { remote: plain.remotes[remote] }),
    ...(typeof endpoint === "number" && { endpoint: plain.endpoints[endpoint] }),
  };
  return { ...facts, ...things } as unknown as Occasion;
}
