import type { ConnectionInspect, ObservedConnection } from "../engine/index.ts";
import type { MptcpPm } from "../netlink/index.ts";

/** Every live connection of the namespace, as the engine wants to see it. */
export function observeAll(pm: MptcpPm): ObservedConnection[] {
  return pm
    .connections()
    .filter((connection) => connection.state === "established")
    .map((connection) => ({ connection, localAddresses: connection.localAddresses ?? [] }));
}

/** One connection; undefined when it is gone. */
export function observeOne(pm: MptcpPm, { token, subflows }: ConnectionInspect): ObservedConnection | undefined {
  const connection = pm.connection(token, subflows);
  if (connection?.state !== "established") return undefined;
  return { connection, localAddresses: connection.localAddresses ?? [] };
}
