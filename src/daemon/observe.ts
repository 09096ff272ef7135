import type { ConnectionInspect, ObservedConnection } from "../engine/index.ts";
import type { MptcpPm } from "../netlink/index.ts";
import { type Connection, ENDPOINT_FLAG, type Endpoint } from "../types/index.ts";

/** Every live connection of the namespace, as the engine wants to see it. */
export function observeAll(pm: MptcpPm): ObservedConnection[] {
  return pm
    .connections()
    .filter((connection) => connection.state === "established")
    .map((connection) => ({ connection, localAddresses: localAddressesOf(connection) }));
}

/** One connection; undefined when it is gone. */
export function observeOne(pm: MptcpPm, { token, subflows }: ConnectionInspect): ObservedConnection | undefined {
  const connection = pm.connection(token, subflows);
  if (connection?.state !== "established") return undefined;
  return { connection, localAddresses: localAddressesOf(connection) };
}

/**
 * Which id each local address has. Where the kernel has no list of them (before Linux 6.9) the subflows tell, but not what was announced and never
 * joined: that is announced anew, which a peer takes as it takes any repetition.
 */
function localAddressesOf({ localAddresses, subflows }: Connection): readonly Endpoint[] {
  if (localAddresses) return localAddresses;
  return subflows
    .filter(({ join }) => join)
    .map(({ path, localId: id, initiated, interfaceIndex }) => {
      const flags = initiated ? ENDPOINT_FLAG.subflow : 0;
      return { id, address: path.local.address, port: 0, flags, interfaceIndex };
    });
}
