import { isHeld } from "./closing.ts";
import type { Connection } from "./model.ts";
import type { ConnectionSnapshot, SubflowSnapshot } from "./snapshot.ts";
import type { Subflow } from "./subflow.ts";

/** A connection as plain JSON, cut loose from the engine's memory. */
export function show(connection: Connection): ConnectionSnapshot {
  const { token, side, initial, established, denyJoinId0, owned } = connection;
  return {
    token,
    side,
    initial,
    established,
    denyJoinId0,
    owned,
    policy: connection.treatment.text,
    rule: connection.treatment.rule,
    subflows: connection.subflows.map((subflow) => ({ ...showSubflow(subflow), held: isHeld(connection, subflow) })),
    remotes: connection.remotes.map(({ id, address, port, state }) => ({ id, address, port, state })),
    announced: connection.announced.map(({ localId, address, port }) => ({ id: localId, address, port })),
    attempts: connection.attempts.map((attempt) => ({ ...attempt })),
    planRefused: connection.refusal?.standing ? connection.refusal.reason : "",
  };
}

function showSubflow(subflow: Subflow): Omit<SubflowSnapshot, "held"> {
  const { state, path, localId, remoteId, join, initiated, backup, backupByPeer } = subflow;
  const quarantined = subflow.quarantinedUntil !== undefined;
  const isProbe = subflow.probes !== undefined;
  return { state, path, localId, remoteId, join, initiated, backup, backupByPeer, quarantined, isProbe };
}
