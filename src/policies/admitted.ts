import type { ConnectionView, SubflowView } from "../engine/index.ts";

/** The subflows that stay: a join of the peer's that is one too many is turned down. */
export function admitted({ subflows, extraSubflows, limits }: ConnectionView): readonly SubflowView[] {
  let excess = extraSubflows - limits.subflows;
  return subflows
    .toReversed()
    .filter(({ state }) => state !== "closing" && !(state === "arrived" && excess-- > 0))
    .reverse();
}
