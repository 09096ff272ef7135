import type { ConnectionView, PairView, SubflowView } from "../engine/index.ts";
import { type Address, ENDPOINT_FLAG, type Millis, sameAddress, unmap } from "../types/index.ts";

/*
 * For policies that prefer one path to another. Preferred is what costs least; of that the address that the connection began with, which is what
 * routing chose; then endpoints in their order, those for backup last, whatever they cost.
 */

/** The lower, the more it is preferred; of an address that is no endpoint too. */
export function placeOf(view: ConnectionView, local: Address): number {
  const { endpoints, initial } = view;
  const index = endpoints.findIndex(({ address }) => sameAddress(address, local));
  const isBackup = ((endpoints[index]?.flags ?? 0) & ENDPOINT_FLAG.backup) !== 0;
  const isFirst = sameAddress(local, initial.local.address);
  return (isBackup ? LAST : 0) + PLACES * view.costOf(local) + (isFirst ? 0 : index + 2);
}

/** More than there are endpoints, and more than the dearest of them is worth. */
const PLACES = 1000;
const LAST = 1e9;

/** Those of the subflows that can carry data, most preferred first. */
export function carriersOf(view: ConnectionView, subflows: readonly SubflowView[]): readonly SubflowView[] {
  const place = ({ path }: SubflowView): number => placeOf(view, path.local.address);
  return subflows
    .filter(({ state, quarantinedUntil }) => state === "established" && quarantinedUntil === undefined)
    .sort((a, b) => place(a) - place(b));
}

/** One pair of each address that is in no subflow: those that failed least, then the most preferred first. */
export function sparePairs(view: ConnectionView): readonly PairView[] {
  const unused = view.endpoints.filter(({ address }) => !isUsed(view, address));
  // That each address has its subflow is how it is most of the time: there is nothing to be sorted out.
  if (unused.length === 0) return NONE;
  const wanting = new Set(unused.map(({ address }) => unmap(address)));
  const failures = ({ attempt }: PairView): number => attempt?.failures ?? 0;
  const place = ({ local }: PairView): number => placeOf(view, local.address);
  return view.pairs
    .filter(({ blocked, local }) => blocked === "" && wanting.has(unmap(local.address)))
    .sort((a, b) => failures(a) - failures(b) || place(a) - place(b))
    .filter(({ local }) => wanting.delete(unmap(local.address)));
}

const NONE: readonly never[] = [];

/** A subflow comes from it, or is being opened. */
function isUsed({ subflows }: ConnectionView, address: Address): boolean {
  return subflows.some(({ state, path }) => state !== "closing" && sameAddress(path.local.address, address));
}

/** "10.0.1.1>10.0.9.1": a subflow that is opened anew there is on the same path. */
export function pathOf({ path: { local, remote } }: SubflowView): string {
  return `${unmap(local.address)}>${unmap(remote.address)}`;
}

/**
 * What is on its way there has led to no answer for so long that the path may be dead: a timeout of TCP, or what a loss at the end of a burst
 * takes (tcp_schedule_loss_probe); with full queues TCP's timeout comes first.
 */
export function isDoubtful({ isFull }: ConnectionView, { measured, doubtedAt }: SubflowView): boolean {
  if (doubtedAt !== undefined) return true;
  if (!measured) return false;
  const { at, rtt, rttVar, rto, backoff, stuckSince } = measured;
  const patience = 3 * rtt + Math.max(DOUBT_MIN, 4 * rttVar) + (isFull ? rto : 0);
  return backoff > 0 || (stuckSince !== undefined && at - stuckSince >= patience);
}

const DOUBT_MIN: Millis = 50;

/** The first of these times that is to come, for `wakeAt`. */
export function soonest(view: ConnectionView, times: readonly Millis[]): Millis {
  // What is foreseen is not to depend on the time.
  return Math.min(...times.filter((time) => time < Number.POSITIVE_INFINITY && time > view.now));
}
