import type { Endpoint } from "../../types/index.ts";
import type { Connection } from "../model.ts";
import type { ConnectionView, Occasion, RemoteAddressView, SubflowView } from "../policy.ts";
import type { Subflow } from "../subflow.ts";
import type { PlainOccasion, PlainView } from "./plain.ts";

/** @param seen the subflows that the view is to have, in its order */
export function plainView(connection: Connection, seen: readonly Subflow[]): PlainView {
  const view: ConnectionView = connection;
  const { now, token, side, initial, initialRemote, family, denyJoinId0, extraSubflows, limits, attempts } = view;
  return {
    ...{ now, token, side, initial, initialRemote, family, denyJoinId0, extraSubflows, limits, attempts },
    subflows: seen.map(plainSubflow),
    remotes: view.remotes.map(({ id, address, port, state, source }) => ({ id, address, port, state, source })),
    endpoints: view.endpoints.map((endpoint) => ({
      ...endpoint,
      isInitial: view.isInitial(endpoint),
      localId: view.localId(endpoint),
      isListed: view.isListed(endpoint.id),
      isAnnounced: view.isAnnounced(endpoint.id),
      cost: view.costOf(endpoint.address),
    })),
    pairs: view.pairs.map((pair) => ({
      local: pair.local,
      remote: pair.remote,
      subflows: pair.subflows.map((subflow) => seen.indexOf(subflow as Subflow)),
      attempt: pair.attempt ? attempts.indexOf(pair.attempt) : null,
      blocked: pair.blocked,
    })),
    signals: Object.fromEntries(view.signals),
    isFull: view.isFull,
    addressesAnnounced: view.addressesAnnounced,
  };
}

function plainSubflow(subflow: Subflow): SubflowView {
  const { state, path, localId, remoteId, join, initiated, backup, backupByPeer } = subflow;
  const { interfaceIndex, since, measured, losses, quarantinedUntil, doubtedAt } = subflow;
  const facts = { state, path, localId, remoteId, join, initiated, backup, backupByPeer };
  return { ...facts, interfaceIndex, since, measured, losses, quarantinedUntil, doubtedAt };
}

/** What happened, with places instead of things. */
export function plainOccasion(occasion: Occasion, view: PlainView, seen: readonly Subflow[]): PlainOccasion {
  const place = (index: number): number | null => (index < 0 ? null : index);
  const facts: Record<string, string | number | boolean | null | undefined> = {};
  for (const [name, value] of Object.entries(occasion)) {
    if (name === "subflow") facts[name] = place(seen.indexOf(value as Subflow));
    else if (name === "remote") {
      const id = (value as RemoteAddressView | undefined)?.id;
      facts[name] = place(view.remotes.findIndex((remote) => remote.id === id));
    } else if (name === "endpoint") {
      const { id } = value as Endpoint;
      facts[name] = place(view.endpoints.findIndex((endpoint) => endpoint.id === id));
    } else facts[name] = value as string | number | boolean;
  }
  return { ...facts, type: occasion.type };
}
