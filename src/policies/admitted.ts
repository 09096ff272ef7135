import type { ConnectionPlan, ConnectionView, SubflowView } from "../engine/index.ts";
import { sameAddress } from "../types/index.ts";

/**
 * The subflows that stay: a join of the peer's that is one too many is turned down. Where one is in doubt it goes instead: the peer
 * has found its path dead, and opens subflows anew, before we have.
 */
export function admitted({ subflows, extraSubflows, limits }: ConnectionView): readonly SubflowView[] {
  const there = subflows.filter(({ state }) => state !== "closing");
  let excess = extraSubflows - limits.subflows;
  if (excess <= 0) return there;
  const arrived = there.filter(({ state }) => state === "arrived");
  const doubted = there.filter(({ state, join, doubtedAt }) => state !== "arrived" && join && doubtedAt !== undefined);
  const isOpenedAnew = (subflow: SubflowView): boolean => arrived.some((other) => isSamePair(subflow, other));
  const leaving = [...doubted.filter(isOpenedAnew), ...doubted.filter((each) => !isOpenedAnew(each))];
  const gone = new Set<SubflowView>();
  for (const subflow of leaving.slice(0, arrived.length)) if (excess-- > 0) gone.add(subflow);
  for (const subflow of arrived.reverse()) if (excess-- > 0) gone.add(subflow);
  return there.filter((subflow) => !gone.has(subflow));
}

/** What a server wants as well, because only its peer can open again what is closed: the subflows that there are. */
export function keptBy(view: ConnectionView): Pick<ConnectionPlan, "subflows"> {
  return { subflows: admitted(view).map((keep) => ({ keep })) };
}

function isSamePair({ path: { local, remote } }: SubflowView, { path }: SubflowView): boolean {
  return sameAddress(local.address, path.local.address) && sameAddress(remote.address, path.remote.address);
}
