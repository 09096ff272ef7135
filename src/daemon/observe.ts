import type { ObservedConnection } from "../engine/index.ts";
import type { MptcpPm } from "../netlink/index.ts";
import type { Token } from "../types/index.ts";

/** Every live connection of the namespace, as the engine wants to see it. */
export function observeAll(pm: MptcpPm): ObservedConnection[] {
  return pm
    .connections()
    .filter((connection) => connection.state === "established")
    .map((connection) => ({ connection, localAddresses: connection.localAddresses ?? [] }));
}

/** One connection; undefined when it is gone. */
export function observeOne(pm: MptcpPm, token: Token): ObservedConnection | undefined {
  return observeAll(pm).find(({ connection }) => connection.token === token);
}
