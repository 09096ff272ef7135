import {
  type Address,
  type AddressId,
  type Connection,
  type Endpoint,
  familyOf,
  formatSocketAddress,
  type SocketAddress,
  type SubflowInfo,
  sameAddress,
  type Token,
  unmap,
} from "../types/index.ts";
import { CommandError, EXIT, failure, refused, usageError, wrongArgument } from "./failure.ts";
import type { Interfaces } from "./interfaces.ts";
import { formatToken, parseSocketAddress } from "./words.ts";

/** Anything that knows connections: the kernel, or a daemon. */
interface ConnectionSource {
  connection(token: Token): Connection | undefined;
}

/** The connection that a token names, if its subflows are ours to steer; refuses in words what the kernel would. */
export function steerableConnection(source: ConnectionSource, token: Token): Connection {
  const connection = source.connection(token);
  if (!connection) {
    throw refused(`no connection has the token ${formatToken(token)}; "subflow connections" lists those there are`);
  }
  if (connection.pathManager === "kernel") {
    throw refused(
      `connection ${formatToken(token)} belongs to the in-kernel path manager, which only "subflow endpoint" steers; ` +
        "sockets made after sysctl net.mptcp.pm_type=1 belong to the userspace one",
    );
  }
  return connection;
}

/** The addresses of a command line that may also name an interface. */
export interface LocalChoice extends SocketAddress {
  /** Defined when an interface was named. */
  readonly interfaceIndex: number | undefined;
}

/**
 * The local address that a word means: an address with or without a port, or an interface, of which the first address
 * of the connection's family that is not link-local is taken.
 */
export function localChoice(word: string, connection: Connection, interfaces: Interfaces): LocalChoice {
  const given = parseSocketAddress(word);
  if (given) return { ...given, interfaceIndex: undefined };
  const interfaceIndex = interfaces.index(word);
  if (!interfaceIndex) throw wrongArgument(word, "it is neither an address nor an interface");
  const family = familyOf(unmap(connection.path.local.address));
  const address = interfaces
    .addressesOf(interfaceIndex)
    .find((candidate) => familyOf(candidate) === family && !/^fe[89ab]/.test(candidate));
  if (address === undefined) throw failure(`Error: ${word} has no address that connection could use.`);
  return { address, port: 0, interfaceIndex };
}

/**
 * The id that a local address goes by in a connection: 0 for the initial one (RFC 8684 §3.2), the one it has already,
 * or the lowest that nothing uses.
 */
export function localIdOf(address: Address, connection: Connection, known: readonly Endpoint[]): AddressId {
  if (sameAddress(address, connection.path.local.address)) return 0;
  const entry = known.find((candidate) => sameAddress(candidate.address, address));
  if (entry) return entry.id;
  const used = new Set([...known.map(({ id }) => id), ...connection.subflows.map(({ localId }) => localId)]);
  for (let id = 1; id <= 255; id++) if (!used.has(id)) return id;
  throw failure(`Error: all 255 address ids of connection ${formatToken(connection.token)} are in use.`);
}

/** The id that the peer gave an address, as far as existing subflows tell. */
export function remoteIdOf(address: Address, connection: Connection): AddressId | undefined {
  if (sameAddress(address, connection.path.remote.address)) return 0;
  return connection.subflows.find((subflow) => sameAddress(subflow.path.remote.address, address))?.remoteId;
}

/** The subflows that `LOCAL [ REMOTE ]` leaves: exactly one, unless `all`. */
export function selectSubflows(
  connection: Connection,
  words: readonly string[],
  { all, interfaces }: { all: boolean; interfaces: Interfaces },
): SubflowInfo[] {
  const [local, remote, surplus] = words;
  if (surplus !== undefined) throw wrongArgument(surplus, "a subflow is named by LOCAL and REMOTE, no more");
  if (local === undefined && !all) throw usageError('Error: argument "LOCAL" is required');
  const isLocal = local === undefined ? () => true : localMatcher(local, interfaces);
  const remoteEnd = remote === undefined ? undefined : remoteWord(remote);
  const selected = connection.subflows.filter(
    (subflow) => isLocal(subflow) && (remoteEnd === undefined || isEnd(subflow.path.remote, remoteEnd)),
  );
  if (selected.length === 0) {
    throw new CommandError(
      `Error: connection ${formatToken(connection.token)} has no subflow ${words.join(" → ")}; ` +
        `"subflow connections ${formatToken(connection.token)}" shows those it has.`,
      { code: "REFUSED", exitStatus: EXIT.refused },
    );
  }
  if (selected.length > 1 && !all) {
    const paths = selected.map(
      ({ path }) => `  ${formatSocketAddress(path.local)} ${formatSocketAddress(path.remote)}`,
    );
    throw usageError(`Error: ${selected.length} subflows match; name one of them, or say --all:\n${paths.join("\n")}`);
  }
  return selected;
}

function localMatcher(word: string, interfaces: Interfaces): (subflow: SubflowInfo) => boolean {
  const given = parseSocketAddress(word);
  if (given) return ({ path }) => isEnd(path.local, given);
  const index = interfaces.index(word);
  if (!index) throw wrongArgument(word, "it is neither an address nor an interface");
  return ({ path, interfaceIndex }) => (interfaceIndex || interfaces.holder(path.local.address)) === index;
}

function remoteWord(word: string): SocketAddress {
  const given = parseSocketAddress(word);
  if (!given) throw wrongArgument(word, "an address is expected, with or without a port");
  return given;
}

function isEnd(end: SocketAddress, asked: SocketAddress): boolean {
  return sameAddress(end.address, asked.address) && (asked.port === 0 || asked.port === end.port);
}
