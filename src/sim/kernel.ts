import type {
  Action,
  AddressAnnounce,
  AddressRemove,
  EngineEvent,
  ObservedConnection,
  Owner,
  SubflowCreate,
} from "../engine/index.ts";
import { familiesMatch, samePath } from "../engine/index.ts";
import {
  type Address,
  BLANK_CONNECTION,
  BLANK_SUBFLOW,
  ENDPOINT_FLAG,
  type Endpoint,
  ERRNO,
  familyOf,
  type Path,
  type Side,
  type SocketAddress,
  type SubflowInfo,
  sameAddress,
  type Token,
} from "../types/index.ts";

/** One subflow of the simulated kernel. */
export interface SimSubflow {
  path: Path;
  state: "syn-sent" | "established";
  readonly localId: number;
  readonly remoteId: number;
  readonly join: boolean;
  readonly initiated: boolean;
  backup: boolean;
}

/** One connection of the simulated kernel. */
export interface SimConnection {
  readonly token: Token;
  readonly side: Side;
  readonly path: Path;
  readonly denyJoinId0: boolean;
  /** "kernel": the in-kernel path manager has it, our commands are refused. */
  readonly pathManager: "kernel" | "userspace";
  established: boolean;
  subflows: SimSubflow[];
  /** `userspace_pm_local_addr_list`. */
  localAddresses: Endpoint[];
  /** `anno_list`: what is announced to the peer. */
  announced: SocketAddress[];
}

/** What a connection begins with. */
export interface NewConnection extends Pick<SimConnection, "token" | "side" | "path" | "denyJoinId0" | "pathManager"> {
  readonly established?: boolean;
}

/** What a command or query gives: errno 0 and perhaps a source address, or an errno and the kernel's text. */
export interface Result {
  readonly errno: number;
  readonly message: string;
  readonly source?: Address | undefined;
}

const OK: Result = { errno: 0, message: "" };
const einval = (message: string): Result => ({ errno: ERRNO.EINVAL, message });

/** What the simulated kernel asks of the network it is in. */
export interface Network {
  /** 0, or the errno with which connect(2) fails at once. */
  connectError(local: Address, remote: SocketAddress): number;
  /** The source that routing picks; undefined: no route. */
  sourceFor(remote: Address): Address | undefined;
  /** A free ephemeral port. */
  port(): number;
  /** 0, or why a listener cannot be opened. */
  listenError(local: SocketAddress): number;
}

/**
 * The kernel as the userspace path manager sees it: commands with the checks and texts of net/mptcp/pm_userspace.c, the list of
 * local addresses that it shares with us, and the events it sends. The world around it (world.ts) makes things happen.
 */
export class SimKernel {
  readonly connections = new Map<Token, SimConnection>();
  /** Multicast, not yet read. */
  events: EngineEvent[] = [];
  readonly listeners: SocketAddress[] = [];
  /** The last REMOVE has put an RM_ADDR on the wire: the address was announced, or a subflow comes from it. */
  removeSent = false;
  /** As Linux 6.1: a SUBFLOW_CREATE opens every subflow as a normal one. */
  createsNoBackup = false;
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
  }

  /** A connection with its initial subflow; nobody is told yet. */
  open({ established = false, ...facts }: NewConnection): SimConnection {
    const { path, side } = facts;
    const initial = { path, state: "established", localId: 0, remoteId: 0, join: false, backup: false } as const;
    const connection: SimConnection = {
      ...facts,
      established,
      subflows: [{ ...initial, initiated: side === "client" }],
      localAddresses: [],
      announced: [],
    };
    this.connections.set(facts.token, connection);
    return connection;
  }

  /** Carries out an action of the engine. @returns the event that tells of its outcome; undefined: it has none */
  outcomeOf(action: Action): EngineEvent | undefined {
    if (action.type === "command.answer" || action.type === "policy.report") return undefined;
    if (action.type === "kernel.resync") return { type: "kernel.snapshot", connections: this.observeAll() };
    if (action.type === "owner.query") {
      // Three users, so that rules have something to tell apart.
      return { type: "connection.owner", token: action.token, owner: ownerOf(action.token) };
    }
    if (action.type === "connection.inspect") {
      return { type: "connection.observed", token: action.token, observed: this.observe(action.token) };
    }
    const { errno, message, source } = this.#execute(action);
    return errno === 0 ? { type: "action.done", action, source } : { type: "action.failed", action, errno, message };
  }

  #execute(action: Action): Result {
    if (action.type === "listener.open") return this.#listen(action.local);
    if (action.type === "listener.close") return this.#unlisten(action.local);
    if (action.type === "route.query") return this.#route(action.remote.address);
    if (!("token" in action)) return OK;
    const connection = this.connections.get(action.token);
    if (!connection) return einval("invalid token");
    if (connection.pathManager === "kernel") return einval("userspace PM not selected");
    switch (action.type) {
      case "address.announce":
        return this.#announce(connection, action);
      case "address.remove":
        return this.#remove(connection, action);
      case "subflow.create":
        return this.#create(connection, action);
      case "subflow.destroy":
        return this.#destroy(connection, action.path);
      case "subflow.setBackup":
        return this.#setBackup(connection, action.path, action.backup);
      default:
        return OK;
    }
  }

  /** sock_diag and GET_ADDR of one connection. */
  observe(token: Token): ObservedConnection | undefined {
    const connection = this.connections.get(token);
    return connection && observed(connection);
  }

  /** The whole dump. */
  observeAll(): ObservedConnection[] {
    return Array.from(this.connections.values(), observed);
  }

  /** A subflow ends; the event comes only while the connection lives (MPTCP_EVENT_SUB_CLOSED). */
  close(connection: SimConnection, subflow: SimSubflow, errno: number, path = subflow.path): void {
    connection.subflows = connection.subflows.filter((other) => other !== subflow);
    const { localId, remoteId } = subflow;
    this.events.push({ type: "subflow.closed", token: connection.token, path, localId, remoteId, errno });
  }

  /** The id of a local address in use: the list's, else a new implicit entry (mptcp_userspace_pm_get_local_id). */
  localIdFor(connection: SimConnection, address: Address): number {
    if (sameAddress(address, connection.path.local.address)) return 0;
    const known = connection.localAddresses.find((entry) => sameAddress(entry.address, address));
    if (known) return known.id;
    let id = 1;
    while (connection.localAddresses.some((entry) => entry.id === id)) id++;
    connection.localAddresses.push({ id, address, port: 0, flags: ENDPOINT_FLAG.implicit, interfaceIndex: 0 });
    return id;
  }

  #listen(local: SocketAddress): Result {
    const errno = this.#network.listenError(local);
    if (errno === 0) this.listeners.push(local);
    return { errno, message: "" };
  }

  #unlisten(local: SocketAddress): Result {
    const index = this.listeners.findIndex((l) => l.port === local.port && l.address === local.address);
    if (index >= 0) this.listeners.splice(index, 1);
    return OK;
  }

  #route(remote: Address): Result {
    const source = this.#network.sourceFor(remote);
    return source ? { ...OK, source } : { errno: ERRNO.ENETUNREACH, message: "" };
  }

  /** mptcp_userspace_pm_append_new_local_addr: an address has one id and an id one address. */
  #append(connection: SimConnection, entry: Endpoint): boolean {
    for (const known of connection.localAddresses) {
      const sameEntry = sameAddress(known.address, entry.address) && known.port === entry.port;
      if (sameEntry && known.id === entry.id) return true;
      if (sameEntry || known.id === entry.id) return false;
    }
    connection.localAddresses.push(entry);
    return true;
  }

  #announce(connection: SimConnection, { localId, address, port }: AddressAnnounce): Result {
    if (localId === 0) return einval("invalid addr id");
    const flags = ENDPOINT_FLAG.signal;
    if (!this.#append(connection, { id: localId, address, port, flags, interfaceIndex: 0 })) {
      return einval("did not match address and id");
    }
    if (!connection.announced.some((a) => a.address === address && a.port === port)) {
      connection.announced.push({ address, port });
    }
    return OK;
  }

  #remove(connection: SimConnection, { localId }: AddressRemove): Result {
    const entry = connection.localAddresses.find((candidate) => candidate.id === localId);
    const zero = localId === 0 && connection.subflows.some((subflow) => subflow.localId === 0);
    this.removeSent = false;
    if (!entry && !zero) return einval(`address with id ${localId} not found`);
    const { announced, subflows, path } = connection;
    const address = entry?.address ?? path.local.address;
    this.removeSent =
      announced.some((a) => a.address === address && a.port === entry?.port) ||
      subflows.some((subflow) => sameAddress(subflow.path.local.address, address));
    connection.localAddresses = connection.localAddresses.filter((other) => other !== entry);
    connection.announced = connection.announced.filter((a) => a.address !== entry?.address || a.port !== entry.port);
    return OK;
  }

  #create(connection: SimConnection, action: SubflowCreate): Result {
    const { local, remote, localId, remoteId, interfaceIndex, backup } = action;
    if (!connection.established) return { errno: ERRNO.ENOTCONN, message: `connect error: -${ERRNO.ENOTCONN}` };
    if (!familiesMatch(familyOf(connection.path.local.address), local.address, remote.address)) {
      return einval("families mismatch");
    }
    const entry = {
      id: localId,
      address: local.address,
      port: local.port,
      flags: ENDPOINT_FLAG.subflow,
      interfaceIndex,
    };
    if (!this.#append(connection, entry)) return einval("did not match address and id");
    const errno = this.#network.connectError(local.address, remote);
    if (errno !== 0) {
      this.#forget(connection, local.address);
      return { errno, message: `connect error: -${errno}` };
    }
    connection.subflows.push({
      path: { local: { address: local.address, port: local.port || this.#network.port() }, remote },
      state: "syn-sent",
      localId,
      remoteId,
      join: true,
      initiated: true,
      backup: backup && !this.createsNoBackup,
    });
    return OK;
  }

  #destroy(connection: SimConnection, path: Path): Result {
    const subflow = connection.subflows.find((candidate) => samePath(candidate.path, path));
    if (!subflow) return { errno: ERRNO.ESRCH, message: "subflow not found" };
    this.#forget(connection, path.local.address);
    // A SYN on its way is disconnected, which forgets where to: the event names port 0 (mptcp_subflow_shutdown, tcp_disconnect).
    const { local, remote } = subflow.path;
    const isOnItsWay = subflow.state === "syn-sent";
    this.close(connection, subflow, 0, isOnItsWay ? { local, remote: { ...remote, port: 0 } } : subflow.path);
    return OK;
  }

  /** The first entry with the address, ports ignored: what a failing CREATE and a DESTROY take away. */
  #forget(connection: SimConnection, address: Address): void {
    const index = connection.localAddresses.findIndex((entry) => sameAddress(entry.address, address));
    if (index >= 0) connection.localAddresses.splice(index, 1);
  }

  #setBackup(connection: SimConnection, path: Path, backup: boolean): Result {
    const subflow = connection.subflows.find((candidate) => samePath(candidate.path, path));
    if (!subflow) return einval("subflow not found");
    subflow.backup = backup;
    return OK;
  }
}

function observed(connection: SimConnection): ObservedConnection {
  const { token, path, side, pathManager, subflows, localAddresses } = connection;
  return {
    connection: {
      ...BLANK_CONNECTION,
      localAddresses: undefined,
      token,
      state: "established",
      path,
      side,
      pathManager,
      extraSubflows: subflows.filter((subflow) => subflow.join).length,
      subflowsTotal: subflows.length,
      addAddrSignaled: connection.announced.length,
      subflows: subflows.map((subflow) => observedSubflow(connection, subflow)),
    },
    localAddresses: localAddresses.map((entry) => ({ ...entry })),
  };
}

function observedSubflow(connection: SimConnection, subflow: SimSubflow): SubflowInfo {
  const { path, state, localId, remoteId, join, initiated, backup } = subflow;
  const fullyEstablished = connection.established && state === "established";
  return { ...BLANK_SUBFLOW, path, state, localId, remoteId, join, initiated, backupLocal: backup, fullyEstablished };
}

function ownerOf(token: Token): Owner {
  return { socket: { uid: token % 3, cgroup: undefined }, command: null };
}
