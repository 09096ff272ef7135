import type { Connection } from "./model.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/** MP_PRIO on one subflow; nothing while its local port is not known. */
export function setBackup(state: State, connection: Connection, subflow: Subflow, backup: boolean): void {
  subflow.backup = backup;
  if (subflow.path.local.port === 0) return;
  subflow.backupTold = backup;
  state.act({ type: "subflow.setBackup", token: connection.token, path: subflow.path, backup });
}

/** Of one that is there by now: what has changed while its SYN was on its way, or a SYN cannot say (Linux 6.1). */
export function tellBackup(state: State, connection: Connection, subflow: Subflow): void {
  if (subflow.backup !== subflow.backupTold) setBackup(state, connection, subflow, subflow.backup);
}
