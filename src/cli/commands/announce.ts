import { ENDPOINT_FLAG } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, missingArgument, refused } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { parseOptions } from "../options.ts";
import { localChoice, localIdOf, steerableConnection } from "../selection.ts";
import { withPathManager } from "../target.ts";
import { formatToken, tokenArgument, unsignedArgument } from "../words.ts";

/** `announce`: sends ADD_ADDR (RFC 8684 §3.4.1); says on standard output under which id. */
export function run(context: Context): number {
  const { values, words } = parseOptions(context);
  const token = tokenArgument(words[0]);
  const word = words[1];
  if (word === undefined) throw missingArgument("ADDRESS");
  const { global, streams } = context;
  withPathManager(global, (manager) => {
    const connection = steerableConnection(manager, token);
    const { address, port } = localChoice(word, connection, new Interfaces(global));
    const id =
      values.id === undefined
        ? localIdOf(address, connection, connection.localAddresses ?? [])
        : unsignedArgument(values.id, 255, "invalid ID");
    if (id === 0) throw refused(`the peer knows ${address} already: it is the initial address, with id 0`);
    manager.announce({ token, address, id, port, flags: values.backup ? ENDPOINT_FLAG.backup : 0 });
    streams.out(`announced ${address} id ${id} on ${formatToken(token)}\n`);
  });
  return EXIT.success;
}
