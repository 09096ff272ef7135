import { type AddressId, type Connection, sameAddress } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, missingArgument, refused } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { parseOptions } from "../options.ts";
import { localChoice, steerableConnection } from "../selection.ts";
import { withPathManager } from "../target.ts";
import { formatToken, tokenArgument, unsignedArgument } from "../words.ts";

/** `remove`: sends REMOVE_ADDR (RFC 8684 §3.4.2). */
export function run(context: Context): number {
  const { words } = parseOptions(context);
  const token = tokenArgument(words[0]);
  const word = words[1];
  if (word === undefined) throw missingArgument("ID");
  const { global, streams } = context;
  withPathManager(global, (manager) => {
    const connection = steerableConnection(manager, token);
    const id = /^\d+$/.test(word)
      ? unsignedArgument(word, 255, "invalid ID")
      : idOfAddress(word, connection, new Interfaces(global));
    manager.remove({ token, id });
    streams.out(`removed id ${id} on ${formatToken(token)}\n`);
  });
  return EXIT.success;
}

function idOfAddress(word: string, connection: Connection, interfaces: Interfaces): AddressId {
  const { address } = localChoice(word, connection, interfaces);
  if (sameAddress(address, connection.path.local.address)) return 0;
  const entry = connection.localAddresses?.find((known) => sameAddress(known.address, address));
  if (!entry) throw refused(`${address} has no id on connection ${formatToken(connection.token)}: nothing to remove`);
  return entry.id;
}
