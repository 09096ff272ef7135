import { formatSocketAddress, type SocketAddress, unmap } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, missingArgument, wrongArgument } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { parseOptions } from "../options.ts";
import { localChoice, localIdOf, remoteIdOf, steerableConnection } from "../selection.ts";
import { withPathManager } from "../target.ts";
import { parseSocketAddress, tokenArgument, unsignedArgument } from "../words.ts";

/** `create`: sends the SYN of an MP_JOIN (RFC 8684 §3.2); whether it is answered, `connections` or `monitor` tell. */
export function run(context: Context): number {
  const { values, words } = parseOptions(context);
  const token = tokenArgument(words[0]);
  const [, word, remoteWord] = words;
  if (word === undefined) throw missingArgument("LOCAL");
  const { global, streams } = context;
  const interfaces = new Interfaces(global);
  const id = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : unsignedArgument(text, 255, "invalid ID");
  withPathManager(global, (manager) => {
    const connection = steerableConnection(manager, token);
    const local = localChoice(word, connection, interfaces);
    const remote = remoteChoice(remoteWord, connection.path.remote);
    const localId = id(values.id) ?? localIdOf(local.address, connection, connection.localAddresses ?? []);
    const remoteId = id(values["remote-id"]) ?? remoteIdOf(remote.address, connection);
    manager.createSubflow({
      token,
      local: {
        address: local.address,
        port: local.port || undefined,
        id: localId,
        interfaceIndex: boundInterface(values.dev, interfaces) ?? local.interfaceIndex,
        backup: values.backup !== undefined,
      },
      remote: { ...remote, id: remoteId },
    });
    streams.out(`creating ${local.address} id ${localId} → ${formatSocketAddress(remote)} id ${remoteId ?? "?"}\n`);
  });
  return EXIT.success;
}

/** The initial remote address and port fill what is not given; v4-mapped ones are joined to as IPv4. */
function remoteChoice(word: string | undefined, initial: SocketAddress): SocketAddress {
  if (word === undefined) return { address: unmap(initial.address), port: initial.port };
  const given = parseSocketAddress(word);
  if (!given) throw wrongArgument(word, "an address is expected, with or without a port");
  return { address: given.address, port: given.port || initial.port };
}

function boundInterface(name: string | undefined, interfaces: Interfaces): number | undefined {
  if (name === undefined) return undefined;
  const index = interfaces.index(name);
  if (!index) throw wrongArgument(name, "device does not exist");
  return index;
}
