import {
  type Address,
  type AddressId,
  type Connection,
  type ConnectionLife,
  ENDPOINT_FLAG,
  type Endpoint,
  ERRNO,
  type Limits,
  type MptcpEvent,
  type Path,
  type Token,
} from "../types/index.ts";
import {
  decodeEndpoint,
  decodeEvent,
  decodeFamily,
  decodeLimits,
  encodeGetFamily,
  encodePmCommand,
  type Family,
  GENL_HEADER,
  GENL_ID_CTRL,
  type MessageHeader,
  MPTCP_PM,
  PM_ATTRIBUTE,
  PM_COMMAND,
  type PmCommand,
  pathAttributes,
} from "../wire/index.ts";
import { NETLINK, NetlinkClient, type Request } from "./client.ts";
import { listAddressesInUse, listConnections, listLives } from "./connections.ts";
import { NetlinkError, UnsupportedError } from "./errors.ts";
import { EventStream } from "./event-stream.ts";
import { findConnection, type SubflowHint } from "./find-connection.ts";
import { NetlinkSubscription, type SubscriptionOptions } from "./subscription.ts";

/** An endpoint to add: id chosen by the kernel when absent. */
export interface NewEndpoint {
  readonly address: Address;
  readonly id?: AddressId | undefined;
  readonly port?: number | undefined;
  readonly flags: number;
  readonly interfaceIndex?: number | undefined;
}

/** Whose endpoint flags to change: by id, or by address (and port) when there is no id. */
export interface EndpointChange {
  readonly id?: AddressId | undefined;
  readonly address?: Address | undefined;
  readonly port?: number | undefined;
  /** The new value of `backup` and `fullmesh`; other bits are ignored by the kernel. */
  readonly flags: number;
}

/** An address to announce on a connection of the userspace path manager. */
export interface Announcement {
  readonly token: Token;
  readonly address: Address;
  readonly id: AddressId;
  readonly port?: number | undefined;
  /** {@link ENDPOINT_FLAG} bits; `signal` is always added. */
  readonly flags?: number | undefined;
  readonly interfaceIndex?: number | undefined;
}

/** A subflow to open on a connection of the userspace path manager. */
export interface NewSubflow {
  readonly token: Token;
  readonly local: {
    readonly address: Address;
    readonly port?: number | undefined;
    readonly id?: AddressId | undefined;
    readonly interfaceIndex?: number | undefined;
    readonly backup?: boolean | undefined;
  };
  /** The kernel does not default the port: 0 is really sent to port 0. */
  readonly remote: { readonly address: Address; readonly port: number; readonly id?: AddressId | undefined };
}

/** Options of {@link MptcpPm.open}. */
export interface MptcpPmOptions {
  /** A name of /run/netns or a path; our own namespace when absent. */
  readonly netns?: string | undefined;
}

/**
 * The kernel's MPTCP path managers, over generic netlink, in one network namespace. All methods but `events` are
 * synchronous and throw {@link NetlinkError}; a return says that the kernel took the command, not that it took effect
 * (a created subflow is established only when its event says so).
 */
export class MptcpPm implements Disposable {
  readonly #client: NetlinkClient;
  readonly #family: Family;
  readonly #netns: string | undefined;
  #looksAtTokens: boolean | undefined;

  private constructor(client: NetlinkClient, family: Family, netns: string | undefined) {
    this.#client = client;
    this.#family = family;
    this.#netns = netns;
  }

  /** @throws UnsupportedError when the kernel has no MPTCP; NetnsError when the namespace cannot be entered */
  static open(options: MptcpPmOptions = {}): MptcpPm {
    const client = new NetlinkClient(NETLINK.GENERIC, options);
    try {
      const request = {
        operation: "find mptcp_pm",
        type: GENL_ID_CTRL,
        write: (writer: Parameters<Request["write"]>[0]) => encodeGetFamily(writer, MPTCP_PM.name),
      };
      return new MptcpPm(client, client.get(request, decodeFamily), options.netns);
    } catch (error) {
      client.close();
      if (error instanceof NetlinkError && error.errno === ERRNO.ENOENT) {
        throw new UnsupportedError("this kernel has no MPTCP path manager; it needs CONFIG_MPTCP (Linux 5.7)", error);
      }
      throw error;
    }
  }

  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The generic netlink family, with the commands this kernel has. */
  get family(): Family {
    return this.#family;
  }

  /** The socket, for several requests in one send: see {@link request}. */
  get client(): NetlinkClient {
    return this.#client;
  }

  /** A command as a {@link Request}, to be sent together with others by `client.executeAll`. */
  request(operation: string, command: PmCommand): Request {
    return {
      operation,
      type: this.#family.id,
      write: (writer) => encodePmCommand(writer, command),
      attributes: PM_ATTRIBUTE,
      attributesAt: GENL_HEADER,
    };
  }

  addEndpoint(endpoint: NewEndpoint): void {
    this.#client.execute(this.addEndpointRequest(endpoint));
  }

  addEndpointRequest({ address, id, port, flags, interfaceIndex }: NewEndpoint): Request {
    const attributes = { address, id, port, flags, interfaceIndex };
    return this.request("endpoint add", { command: PM_COMMAND.ADD_ADDR, address: attributes });
  }

  /** Id 0 with an address stands for the initial subflows from that address. */
  deleteEndpoint(which: { readonly id: AddressId; readonly address?: Address | undefined }): void {
    this.#client.execute(this.deleteEndpointRequest(which));
  }

  deleteEndpointRequest({ id, address }: { readonly id: AddressId; readonly address?: Address | undefined }): Request {
    return this.request("endpoint delete", { command: PM_COMMAND.DEL_ADDR, address: { id, address } });
  }

  changeEndpoint({ id, address, port, flags }: EndpointChange): void {
    this.#execute("endpoint change", { command: PM_COMMAND.SET_FLAGS, address: { id, address, port, flags } });
  }

  flushEndpoints(): void {
    this.#execute("endpoint flush", { command: PM_COMMAND.FLUSH_ADDRS });
  }

  endpoint(id: AddressId): Endpoint {
    const request = this.request("endpoint show", { command: PM_COMMAND.GET_ADDR, address: { id } });
    return this.#client.get(request, decodeEndpoint);
  }

  endpoints(): Endpoint[] {
    return this.#client.dump(this.request("endpoint show", { command: PM_COMMAND.GET_ADDR }), decodeEndpoint);
  }

  limits(): Limits {
    return this.#client.get(this.request("limits show", { command: PM_COMMAND.GET_LIMITS }), decodeLimits);
  }

  /** An absent limit keeps its value. */
  setLimits(limits: Partial<Limits>): void {
    this.#client.execute(this.setLimitsRequest(limits));
  }

  setLimitsRequest({ subflows, addAddrAccepted }: Partial<Limits>): Request {
    return this.request("limits set", { command: PM_COMMAND.SET_LIMITS, subflows, addAddrAccepted });
  }

  announce(announcement: Announcement): void {
    this.#client.execute(this.announceRequest(announcement));
  }

  announceRequest({ token, address, id, port, flags, interfaceIndex }: Announcement): Request {
    return this.request("announce", {
      command: PM_COMMAND.ANNOUNCE,
      token,
      address: { address, id, port, flags: (flags ?? 0) | ENDPOINT_FLAG.signal, interfaceIndex },
    });
  }

  /** Sends RM_ADDR; our subflows from that address stay until destroyed, or closed by the peer. */
  remove(removal: { readonly token: Token; readonly id: AddressId }): void {
    this.#client.execute(this.removeRequest(removal));
  }

  removeRequest({ token, id }: { readonly token: Token; readonly id: AddressId }): Request {
    return this.request("remove", { command: PM_COMMAND.REMOVE, token, localId: id });
  }

  /** Sends the MP_JOIN SYN. */
  createSubflow(subflow: NewSubflow): void {
    this.#client.execute(this.createSubflowRequest(subflow));
  }

  createSubflowRequest({ token, local, remote }: NewSubflow): Request {
    const { address, port, id, interfaceIndex, backup } = local;
    return this.request("create", {
      command: PM_COMMAND.SUBFLOW_CREATE,
      token,
      address: { address, port, id, interfaceIndex, flags: backup ? ENDPOINT_FLAG.backup : undefined },
      remote,
    });
  }

  destroySubflow(subflow: { readonly token: Token; readonly path: Path }): void {
    this.#client.execute(this.destroySubflowRequest(subflow));
  }

  destroySubflowRequest({ token, path }: { readonly token: Token; readonly path: Path }): Request {
    return this.request("destroy", { command: PM_COMMAND.SUBFLOW_DESTROY, token, ...pathAttributes(path) });
  }

  /** Sends MP_PRIO on the subflow of a connection of the userspace path manager. */
  setBackup(change: { readonly token: Token; readonly path: Path; readonly backup: boolean }): void {
    this.#client.execute(this.setBackupRequest(change));
  }

  setBackupRequest(change: { readonly token: Token; readonly path: Path; readonly backup: boolean }): Request {
    const { address, remote } = pathAttributes(change.path);
    return this.request(change.backup ? "backup" : "nobackup", {
      command: PM_COMMAND.SET_FLAGS,
      token: change.token,
      address: { ...address, flags: change.backup ? ENDPOINT_FLAG.backup : 0 },
      remote,
    });
  }

  /** Asked once: before Linux 6.9 a dump of the addresses of a connection that there is not is answered as any other. */
  get looksAtTokens(): boolean {
    this.#looksAtTokens ??= this.#refusesUnknownToken();
    return this.#looksAtTokens;
  }

  #refusesUnknownToken(): boolean {
    try {
      this.localAddresses(0);
      return false;
    } catch (error) {
      if (error instanceof NetlinkError) return true;
      throw error;
    }
  }

  /** An announcement of nothing: never taken, but refused in other words where the in-kernel path manager has the connection. */
  askRefused(token: Token): void {
    const address = { address: "0.0.0.0" as Address, id: 0, flags: 0 };
    this.#client.execute(this.request("ask whose it is", { command: PM_COMMAND.ANNOUNCE, token, address }));
  }

  /** The kernel's list of local addresses of one userspace-managed connection (Linux 6.9, see {@link looksAtTokens}). */
  localAddresses(token: Token): Endpoint[] {
    return this.#client.dump(this.request("local addresses", { command: PM_COMMAND.GET_ADDR, token }), decodeEndpoint);
  }

  /**
   * Calls `onEvent` for every event, in the turn of the loop in which the kernel woke us.
   * As long as any watcher is open on this host, every namespace with pm_type=1 accepts joins (genl_has_listeners).
   */
  watch(
    onEvent: (event: MptcpEvent, header: MessageHeader) => void,
    onOverrun: () => void,
    onBatchEnd?: () => void,
    { spin }: Pick<SubscriptionOptions, "spin"> = {},
  ): NetlinkSubscription {
    const group = this.#family.groups.get(MPTCP_PM.eventsGroup);
    if (group === undefined) throw new UnsupportedError("this kernel sends no MPTCP events; they came with Linux 5.12");
    return new NetlinkSubscription(NETLINK.GENERIC, [group], {
      netns: this.#netns,
      onMessage: (bytes, header) => onEvent(decodeEvent(bytes, header), header),
      onOverrun,
      ...(onBatchEnd && { onBatchEnd }),
      spin,
    });
  }

  /** Events as an async iterable; ends when `signal` aborts or the loop is left. An overrun is an item of its own. */
  events(options: { readonly signal?: AbortSignal } = {}): EventStream {
    const stream: EventStream = new EventStream((push, overrun) => this.watch(push, overrun), options.signal);
    return stream;
  }

  /** Every MPTCP connection of the namespace with its subflows. */
  connections(): Connection[] {
    return listConnections(this, this.#netns);
  }

  /** What each connection lives by; of what there is only where the kernel cannot list MPTCP sockets (CONFIG_INET_MPTCP_DIAG). */
  lives(): readonly ConnectionLife[] {
    return listLives(this, this.#netns);
  }

  /** Local addresses of the namespace's TCP connections, subflows included. */
  addressesInUse(): ReadonlySet<Address> {
    return listAddressesInUse(this.#netns);
  }

  /**
   * One connection of the namespace; undefined: there is none. The same as among {@link connections}, without a look at all others
   * where `hints` name its subflows, or it has but the initial one.
   */
  connection(token: Token, hints: readonly SubflowHint[] = []): Connection | undefined {
    return findConnection(this, this.#netns, { token, hints });
  }

  #execute(operation: string, command: PmCommand): void {
    this.#client.execute(this.request(operation, command));
  }
}
