import { createHash, type Hash, randomFillSync } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, Socket } from "node:net";
import { loadNative, withNetns } from "../netlink/index.ts";
import { addressBytes, ERRNO, errnoName, type Millis } from "../types/index.ts";
import { LabError } from "./errors.ts";
import { patience } from "./patience.ts";

const CHUNK = 65_536;
const BACKLOG = 128;
const CONNECT_DEADLINE: Millis = 10_000;

/** Where {@link Service.listen} listens. */
export interface ListenOptions {
  /** "::" or "0.0.0.0" for every address. */
  readonly address: string;
  /** 0 or absent: any free port. */
  readonly port?: number;
}

/** A time in which nothing arrived. */
export interface Stall {
  /** By performance.now(): the last arrival before it. */
  readonly start: Millis;
  readonly duration: Millis;
}

/** Shorter gaps than this are how rate-limited packets arrive anyway. */
const STALL_MIN: Millis = 20;
/** A day with a stall every second fits. */
const STALLS_MAX = 100_000;

/** How a {@link transfer} went, as the applications at both ends saw it. */
export interface TransferReport {
  readonly bytes: number;
  readonly duration: Millis;
  /** The longest time in which nothing arrived; 0 when it was always under 20 ms. */
  readonly longestStall: Millis;
  /** What arrived is what was sent, by SHA-256. */
  readonly isIntact: boolean;
}

/** One end of a connection of the lab: counts and hashes what passes. */
export class TrafficEnd {
  readonly socket: Socket;
  readonly #sent = createHash("sha256");
  readonly #received = createHash("sha256");
  #bytesSent = 0;
  #bytesReceived = 0;
  #lastArrival: Millis = performance.now();
  #stalls: Stall[] = [];
  #error: Error | undefined;
  #isOver = false;
  #goals: { bytes: number; resolve(): void; reject(error: Error): void }[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => this.#arrived(bytes));
    socket.on("error", (error) => {
      this.#error = error;
    });
    for (const event of ["end", "close"]) socket.on(event, () => this.#ended());
  }

  get bytesSent(): number {
    return this.#bytesSent;
  }

  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  /** Why the connection broke, if it did. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** SHA-256 of everything so far. */
  get sentHash(): string {
    return digest(this.#sent);
  }

  get receivedHash(): string {
    return digest(this.#received);
  }

  /** Every gap between arrivals of 20 ms and more since {@link startClock}; the last one may still be going on. */
  get stalls(): readonly Stall[] {
    const current = { start: this.#lastArrival, duration: performance.now() - this.#lastArrival };
    return current.duration < STALL_MIN ? this.#stalls : [...this.#stalls, current];
  }

  /** Begins to measure stalls now. */
  startClock(): void {
    this.#lastArrival = performance.now();
    this.#stalls = [];
  }

  /** Sends so many bytes of noise; resolves when the last is handed to the kernel. */
  async send(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const chunk = randomFillSync(Buffer.allocUnsafe(Math.min(CHUNK, left)));
      this.#sent.update(chunk);
      this.#bytesSent += chunk.length;
      left -= chunk.length;
      await new Promise<void>((resolve, reject) => {
        this.socket.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
    }
  }

  /** Resolves when so many bytes have arrived in all. */
  received(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#bytesReceived >= bytes) resolve();
      else if (this.#isOver) reject(this.#broken());
      else this.#goals.push({ bytes, resolve, reject });
    });
  }

  /** No more will be sent. */
  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #broken(): Error {
    return this.#error ?? new LabError("the connection ended in the middle of a transfer", { code: "LAB_COMMAND" });
  }

  #arrived(bytes: Buffer): void {
    const now = performance.now();
    const duration = now - this.#lastArrival;
    if (duration >= STALL_MIN && this.#stalls.length < STALLS_MAX)
      this.#stalls.push({ start: this.#lastArrival, duration });
    this.#lastArrival = now;
    this.#bytesReceived += bytes.length;
    this.#received.update(bytes);
    const isReached = (goal: { bytes: number }): boolean => goal.bytes <= this.#bytesReceived;
    if (!this.#goals.some(isReached)) return;
    const reached = this.#goals.filter(isReached);
    this.#goals = this.#goals.filter((goal) => !isReached(goal));
    for (const goal of reached) goal.resolve();
  }

  #ended(): void {
    this.#isOver = true;
    for (const goal of this.#goals.splice(0)) goal.reject(this.#broken());
  }
}

/** An MPTCP connection with both of its ends in this process. */
export interface TrafficConnection {
  readonly client: TrafficEnd;
  readonly server: TrafficEnd;
  destroy(): void;
}

/** A listening MPTCP socket on a host of the lab. */
export class Service {
  readonly #server: Server;
  readonly #address: string;
  readonly #waiting = new Map<number, (socket: Socket) => void>();
  readonly #arrived = new Map<number, Socket>();
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, address: string) {
    this.#server = server;
    this.#address = address;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** Listens in the network namespace. */
  static async listen(netns: string, { address, port = 0 }: ListenOptions): Promise<Service> {
    const fd = mptcpSocket(netns, address);
    const native = loadNative();
    const one = new Uint8Array(Int32Array.of(1).buffer);
    native.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one);
    must(native.bind(fd, toBytes(address), port, 0), `bind to ${address} port ${port}`);
    must(native.listen(fd, BACKLOG), "listen");
    const server = createServer({ allowHalfOpen: true });
    server.listen({ fd });
    await once(server, "listening");
    return new Service(server, address);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address ? address.port : 0;
  }

  /**
   * Connects from a namespace to this service; `to` when it listens on every address, `from` for a certain source address.
   * Resolves when both ends exist.
   */
  async connect(netns: string, options: { to?: string; from?: string } = {}): Promise<TrafficConnection> {
    const native = loadNative();
    const to = options.to ?? this.#address;
    const fd = mptcpSocket(netns, to);
    if (options.from) must(native.bind(fd, toBytes(options.from), 0, 0), `bind to ${options.from}`);
    must(native.connect(fd, toBytes(to), this.port), `connect to ${to} port ${this.port}`);
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    this.#sockets.add(socket);
    const client = new TrafficEnd(socket);
    const server = new TrafficEnd(await this.#acceptedFrom(client));
    const destroy = (): void => {
      client.destroy();
      server.destroy();
    };
    return { client, server, destroy };
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Both ends are ours, so the port of the client tells which accepted socket belongs to it. */
  async #acceptedFrom(client: TrafficEnd): Promise<Socket> {
    const port = (client.socket.address() as { port: number }).port;
    const known = this.#arrived.get(port);
    if (known) return known;
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        clearTimeout(timer);
        this.#waiting.delete(port);
        client.destroy();
        reject(error);
      };
      const timer = setTimeout(
        () => fail(new LabError("the connection was not accepted", { code: "LAB_TIMEOUT" })),
        patience(CONNECT_DEADLINE),
      );
      client.socket.once("error", fail);
      this.#waiting.set(port, (socket) => {
        clearTimeout(timer);
        client.socket.off("error", fail);
        resolve(socket);
      });
    });
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const port = socket.remotePort ?? 0;
    const resolve = this.#waiting.get(port);
    this.#waiting.delete(port);
    if (resolve) resolve(socket);
    else this.#arrived.set(port, socket);
  }
}

/** Sends so many bytes from one end to the other and waits until they arrived. Rejects when the connection breaks. */
export async function transfer(from: TrafficEnd, to: TrafficEnd, bytes: number): Promise<TransferReport> {
  const start = performance.now();
  to.startClock();
  const goal = to.bytesReceived + bytes;
  await Promise.all([from.send(bytes), to.received(goal)]);
  return {
    bytes,
    duration: performance.now() - start,
    longestStall: longestStall(to.stalls),
    isIntact: from.sentHash === to.receivedHash,
  };
}

/** The duration of the longest, 0 when there is none. */
export function longestStall(stalls: readonly Stall[]): Millis {
  return stalls.reduce((longest, { duration }) => Math.max(longest, duration), 0);
}

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;

function mptcpSocket(netns: string, address: string): number {
  const fd = withNetns(netns, (namespace) => loadNative().mptcpSocket(address.includes(":") ? 10 : 2, namespace));
  if (fd < 0) {
    const name = errnoName(-fd);
    const hint =
      -fd === ERRNO.EPERM
        ? "entering the namespace needs root"
        : "the kernel must have MPTCP (CONFIG_MPTCP) and net.mptcp.enabled=1";
    throw new LabError(`cannot make an MPTCP socket: ${name}; ${hint}`, { code: "LAB_NOT_ALLOWED" });
  }
  return fd;
}

function toBytes(address: string): Uint8Array {
  const bytes = addressBytes(address);
  if (!bytes) throw new LabError(`"${address}" is no IP address`, { code: "LAB_COMMAND" });
  return Uint8Array.from(bytes);
}

function must(result: number, what: string): void {
  if (result < 0) throw new LabError(`${what}: ${errnoName(-result)}`, { code: "LAB_COMMAND" });
}

function digest(hash: Hash): string {
  return hash.copy().digest("hex");
}
