import { type ConnectionPlan, type ConnectionView, choice, duration, type Policy } from "../engine/index.ts";
import { keptBy } from "./admitted.ts";
import { isDoubtful } from "./order.ts";
import { FIRST_TURN, succession, type Turn } from "./succession.ts";

const PARAMETERS = {
  hold_down: duration("how long a better path must be there before it is used again", 5000, [0, 3_600_000]),
  mode: choice("the others are open as backup, or opened only when they are needed", ["ready", "lazy"]),
};

/**
 * One subflow carries the data, one from each other address is ready as backup, or opened when the first is lost or may be dead. The order is that
 * of order.ts.
 */
export const activeBackup: Policy<Turn, typeof PARAMETERS> = {
  name: "active-backup",
  about: "one subflow carries the data, one from each other address is ready as backup",
  parameters: PARAMETERS,
  // Whatever may be wrong is looked at anyway; but for that the other must be there already.
  measuresWith: ({ mode }) => (mode === "lazy" ? 1000 : 10_000),
  begin: () => FIRST_TURN,
  plan(view: ConnectionView, turn, _occasion, { hold_down: holdDown, mode }): ConnectionPlan<Turn> {
    if (view.side === "server") return keptBy(view);
    const isBad = (subflow: Parameters<typeof isDoubtful>[1]): boolean => isDoubtful(view, subflow);
    return succession(view, turn, { holdDown, isLazy: mode === "lazy", isBad });
  },
};
