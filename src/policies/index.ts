/** What to do, floor 2: one file a policy, all of them named here. Pure. */
import type { Policy } from "../engine/index.ts";
import { activeBackup } from "./active-backup.ts";
import { aggregate } from "./aggregate.ts";
import { announceOnly } from "./announce-only.ts";
import { fullmesh } from "./fullmesh.ts";
import { handover } from "./handover.ts";
import { interactive } from "./interactive.ts";
import { ndiffports } from "./ndiffports.ts";
import { none } from "./none.ts";
import { onePerInterface } from "./one-per-interface.ts";
import { oneToOne } from "./one-to-one.ts";
import { priority } from "./priority.ts";
import { refresh } from "./refresh.ts";
import { resilient } from "./resilient.ts";
import { standard } from "./standard/standard.ts";

/** Every built-in policy; the first is the default. */
export const policies: readonly [Policy, ...Policy[]] = [
  standard,
  resilient,
  fullmesh,
  ndiffports as Policy,
  onePerInterface,
  oneToOne as Policy,
  activeBackup as Policy,
  handover as Policy,
  interactive as Policy,
  aggregate as Policy,
  priority as Policy,
  refresh as Policy,
  announceOnly,
  none,
];

export {
  activeBackup,
  aggregate,
  announceOnly,
  fullmesh,
  handover,
  interactive,
  ndiffports,
  none,
  onePerInterface,
  oneToOne,
  priority,
  refresh,
  resilient,
  standard,
};
