import type { Command } from "../engine/index.ts";
import { type Address, ENDPOINT_FLAG, ERRNO, type Millis, type Path, type SocketAddress } from "../types/index.ts";
import { type Network, type SimConnection, SimKernel, type SimSubflow } from "./kernel.ts";
import type { Random } from "./random.ts";

const { signal, subflow, backup, fullmesh, laminar } = ENDPOINT_FLAG;
const CONNECTIONS_MAX = 12;
const FLAGS = [
  0,
  signal,
  subflow,
  subflow | backup,
  subflow | fullmesh,
  signal | subflow,
  signal | backup,
  laminar,
  laminar | subflow,
  fullmesh,
];

/** Addresses of a host or its peer: IPv4 and IPv6 on each of five links. */
const host = (side: number, link: number, v6: boolean): Address =>
  (v6 ? `2001:db8:${link}::${side}` : `10.0.${link}.${side}`) as Address;

/**
 * What surrounds the kernel: a peer that joins, announces and goes away, links that fail and return, applications that connect and
 * close, an administrator who changes endpoints. Every choice is by the seed.
 */
export class World implements Network {
  readonly kernel: SimKernel;
  readonly #random: Random;
  readonly #down = new Set<number>();
  #ports = 1024;
  #token = 1;

  constructor(random: Random) {
    this.#random = random;
    this.kernel = new SimKernel(this);
  }

  connectError(local: Address, remote: SocketAddress): number {
    if (this.#down.has(linkOf(local))) return this.#random.pick([ERRNO.EADDRNOTAVAIL, ERRNO.ENETUNREACH]);
    return remote.port === 0 ? ERRNO.ECONNREFUSED : 0;
  }

  sourceFor(remote: Address): Address | undefined {
    const link = linkOf(remote);
    return this.#down.has(link) ? undefined : host(2, link, remote.includes(":"));
  }

  port(): number {
    this.#ports = this.#ports >= 65_000 ? 1024 : this.#ports + 1;
    return this.#ports;
  }

  listenError({ address }: SocketAddress): number {
    return this.#down.has(linkOf(address)) ? ERRNO.EADDRNOTAVAIL : 0;
  }

  /** Something happens on the host or at the peer. */
  step(): void {
    const random = this.#random;
    const connections = [...this.kernel.connections.values()];
    if (connections.length < CONNECTIONS_MAX && random.chance(0.15)) this.#open();
    if (connections.length === 0) return;
    const connection = random.pick(connections);
    const established = connection.established;
    const happenings: readonly [number, () => void][] = [
      [established ? 0 : 12, () => this.#establish(connection)],
      [8, () => this.#answer(connection)],
      [established ? 3 : 0, () => this.#join(connection)],
      [established ? 3 : 0, () => this.#announce(connection)],
      [1, () => this.#remove(connection)],
      [1, () => this.#prioritise(connection)],
      [1, () => this.#fail(connection)],
      [1, () => this.#flap()],
      [1, () => this.closeConnection(connection)],
    ];
    let ticket = random.below(happenings.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, happen] of happenings) {
      ticket -= weight;
      if (ticket >= 0) continue;
      happen();
      return;
    }
  }

  /** What an administrator might ask for. */
  command(): Command {
    const random = this.#random;
    const address = host(2, random.below(5), random.chance(0.3));
    const flags = random.pick(FLAGS);
    const roll = random.below(20);
    if (roll < 8) return { type: "endpoint.add", address, flags };
    // On an address of its own: the kernel's look-ups ignore ports, so one address on two ports shares one fate there.
    if (roll < 9) return { type: "endpoint.add", address: host(2, 5, false), flags: signal, port: 9000 };
    if (roll < 13) return { type: "endpoint.delete", id: random.below(10), address };
    if (roll < 16)
      return { type: "endpoint.change", id: 1 + random.below(9), flags: random.pick([0, backup, fullmesh]) };
    if (roll < 17) return { type: "endpoint.flush" };
    return { type: "limits.set", subflows: random.below(10), addAddrAccepted: random.below(5) };
  }

  /** Every SYN on its way is answered, every connection that waits is established: nothing is in flight any more. */
  calm(): void {
    for (const connection of this.kernel.connections.values()) {
      if (!connection.established) this.#establish(connection);
      while (connection.subflows.some((candidate) => candidate.state === "syn-sent")) this.#answer(connection);
    }
  }

  closeConnection(connection: SimConnection): void {
    this.kernel.connections.delete(connection.token);
    this.kernel.events.push({ type: "connection.closed", token: connection.token });
  }

  /** Milliseconds until the next thing happens. */
  pause(): Millis {
    const random = this.#random;
    return random.chance(0.02) ? 200_000 : random.below(40);
  }

  #open(): void {
    const random = this.#random;
    const kind = random.below(4);
    const address = (side: number, link: number): Address => {
      const plain = host(side, link, kind === 2);
      return kind === 3 ? (`::ffff:${plain}` as Address) : plain;
    };
    const side = random.pick(["client", "server"] as const);
    const local = { address: address(2, random.below(2)), port: side === "server" ? 80 : this.port() };
    const remote = { address: address(1, 0), port: side === "server" ? this.port() : 80 };
    const path: Path = { local, remote };
    const connection = this.kernel.open({
      token: this.#token++,
      side,
      path,
      denyJoinId0: random.chance(0.2),
      pathManager: random.chance(0.1) ? "kernel" : "userspace",
    });
    const { token, denyJoinId0 } = connection;
    this.kernel.events.push({ type: "connection.created", token, side, path, denyJoinId0 });
    if (side === "server") this.#establish(connection);
  }

  #establish(connection: SimConnection): void {
    connection.established = true;
    const { token, side, path, denyJoinId0 } = connection;
    this.kernel.events.push({ type: "connection.established", token, side, path, denyJoinId0 });
  }

  /** A SYN of ours meets an answer: it is taken, refused, or dies away. */
  #answer(connection: SimConnection): void {
    const pending = connection.subflows.find((candidate) => candidate.state === "syn-sent");
    if (!pending) return;
    const random = this.#random;
    if (this.#down.has(linkOf(pending.path.local.address))) {
      this.kernel.close(connection, pending, ERRNO.ETIMEDOUT);
    } else if (random.chance(0.2)) {
      this.kernel.close(connection, pending, random.pick([ERRNO.ECONNREFUSED, ERRNO.ECONNRESET]));
    } else {
      pending.state = "established";
      this.#established(connection, pending);
    }
  }

  #established(connection: SimConnection, { path, localId, remoteId }: SimSubflow): void {
    const { token } = connection;
    const asksBackup = this.#random.chance(0.1);
    this.kernel.events.push({ type: "subflow.established", token, path, localId, remoteId, backup: asksBackup });
  }

  /** The peer joins: to the initial address, to one we announced, or to one that nobody mentioned. */
  #join(connection: SimConnection): void {
    const random = this.#random;
    const { local, remote } = connection.path;
    const targets: SocketAddress[] = [local, { address: host(2, random.below(5), false), port: local.port }];
    for (const { address, port } of connection.announced) targets.push({ address, port: port || local.port });
    const to = random.pick(targets);
    const from = to.address.includes(":") ? remote.address : host(1, random.below(5), false);
    const joined: SimSubflow = {
      path: { local: to, remote: { address: from, port: this.port() } },
      state: "established",
      localId: this.kernel.localIdFor(connection, to.address),
      remoteId: random.below(6),
      join: true,
      initiated: false,
      backup: false,
    };
    connection.subflows.push(joined);
    this.#established(connection, joined);
  }

  #announce(connection: SimConnection): void {
    const random = this.#random;
    const link = random.below(5);
    this.kernel.events.push({
      type: "address.announced",
      token: connection.token,
      remoteId: random.chance(0.02) ? 0 : 1 + (random.chance(0.05) ? random.below(255) : link),
      address: host(1, link, random.chance(0.3)),
      port: random.chance(0.1) ? 9000 : connection.path.remote.port,
    });
  }

  /** An RM_ADDR: the event, then the kernel closes what it concerns. */
  #remove(connection: SimConnection): void {
    const remoteId = this.#random.below(6);
    this.kernel.events.push({ type: "address.removed", token: connection.token, remoteId });
    for (const candidate of [...connection.subflows]) {
      if (candidate.remoteId === remoteId) this.kernel.close(connection, candidate, 0);
    }
  }

  #prioritise(connection: SimConnection): void {
    if (connection.subflows.length === 0) return;
    const { path, localId, remoteId } = this.#random.pick(connection.subflows);
    const asksBackup = this.#random.chance(0.5);
    const { token } = connection;
    this.kernel.events.push({ type: "subflow.priority", token, path, localId, remoteId, backup: asksBackup });
  }

  #fail(connection: SimConnection): void {
    if (connection.subflows.length === 0) return;
    this.kernel.close(connection, this.#random.pick(connection.subflows), ERRNO.ECONNRESET);
  }

  #flap(): void {
    const link = this.#random.below(5);
    if (!this.#down.delete(link)) this.#down.add(link);
  }
}

/** The number of the link that an address of this world belongs to. */
function linkOf(address: Address): number {
  const match = /10\.0\.(\d+)\.|db8:(\d+):/.exec(address);
  return Number(match?.[1] ?? match?.[2] ?? 0);
}
