import type { Millis } from "../types/index.ts";
import { setBackup } from "./backup.ts";
import type { Connection } from "./model.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/*
 * A subflow whose path is not to be trusted for now is backup: nothing is sent there while another works, and nothing is lost by it. What it was
 * to be otherwise, as its endpoint or the policy says, it is again afterwards.
 */

/** Makes it backup until then; a later time is put in the place of an earlier one. */
export function quarantine(state: State, connection: Connection, subflow: Subflow, until: Millis): void {
  if (subflow.quarantinedUntil === undefined) {
    subflow.backupOtherwise = subflow.backup;
    if (!subflow.backup) setBackup(state, connection, subflow, true);
  }
  subflow.quarantinedUntil = until;
}

/** It is trusted again. */
export function release(state: State, connection: Connection, subflow: Subflow): void {
  if (subflow.quarantinedUntil === undefined) return;
  subflow.quarantinedUntil = undefined;
  subflow.isLossy = false;
  if (!subflow.backupOtherwise) setBackup(state, connection, subflow, false);
}

/** Those whose time is over. */
export function releaseDue(state: State, connection: Connection): void {
  for (const subflow of connection.subflows) {
    if (subflow.quarantinedUntil !== undefined && subflow.quarantinedUntil <= state.now)
      release(state, connection, subflow);
  }
}
