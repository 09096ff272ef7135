import { connect, type Socket } from "node:net";
import {
  CONTROL_VERSION,
  type ControlFailure,
  type ControlMethod,
  type ControlMethods,
  type ControlRequest,
  type ControlResponse,
  SubflowError,
} from "../types/index.ts";
import { runtimeFiles } from "./directory.ts";

/** Milliseconds that a daemon may take for an answer. */
const DEADLINE = 10_000;

/** No daemon answers in this network namespace. */
export class NoDaemonError extends SubflowError {
  constructor(socket: string, cause: NodeJS.ErrnoException) {
    super(
      `no Subflow daemon answers in this network namespace (${socket}: ${cause.code}); ` +
        "start one with `subflow run`, or give the namespace back to the kernel with `sysctl -w net.mptcp.pm_type=0`",
      { code: "NO_DAEMON", cause },
    );
  }
}

/** The daemon speaks another version of the control protocol, or no such thing. */
export class ProtocolError extends SubflowError {
  constructor(message: string) {
    super(message, { code: "PROTOCOL" });
  }
}

/** The daemon refused a request: in the words and with the errno that the kernel would have used. */
export class DaemonError extends SubflowError {
  /** Positive, where the kernel would have refused too; undefined: the request itself was bad. */
  readonly errno: number | undefined;
  readonly kernelMessage: string | undefined;
  constructor({ code, message, errno }: ControlFailure) {
    super(message, { code: "DAEMON" });
    this.errno = code === "KERNEL" ? errno : undefined;
    this.kernelMessage = code === "KERNEL" && message !== "" ? message : undefined;
  }
}

/** Where a daemon is looked for, and what ends the waiting for it. */
export interface ClientOptions {
  /** A name of /run/netns or a path; our own when absent. */
  readonly netns?: string | undefined;
  /** Ends the wait for an answer (CLOSED). */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks the daemon of a network namespace one thing.
 * @throws NoDaemonError, DaemonError, ProtocolError; SubflowError with DENIED, BUSY, TIMEOUT or CLOSED
 */
export async function ask<M extends ControlMethod>(
  method: M,
  params: ControlMethods[M]["params"],
  options: ClientOptions = {},
): Promise<ControlMethods[M]["result"]> {
  const connection = await ControlConnection.open(options);
  try {
    return await connection.ask(method, params);
  } finally {
    connection.close();
  }
}

interface Pending {
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** A connection to the daemon of a network namespace: many questions, one after the other or together. */
export class ControlConnection {
  /** Not as root or of the group: what may be seen is what is one's own. */
  readonly isLimited: boolean;
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #pieces: string[] = [];
  #size = 0;
  #lastId = 0;
  #error: Error | undefined;

  private constructor(socket: Socket, path: string, isLimited: boolean) {
    this.#socket = socket;
    this.isLimited = isLimited;
    socket.setEncoding("utf8");
    socket.on("error", (error: NodeJS.ErrnoException) => this.#end(failureOf(path, error)));
    socket.on("data", (chunk: string) => this.#take(chunk));
    socket.on("close", () => this.#end(CLOSED()));
  }

  /**
   * By the socket for root and the daemon's group; where that may not be used, by the one for everybody.
   * @throws NoDaemonError; SubflowError with DENIED, BUSY or CLOSED
   */
  static async open({ netns, signal }: ClientOptions = {}): Promise<ControlConnection> {
    const { socket, applications } = runtimeFiles(netns);
    const opened = await connected(socket, signal).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EACCES" || error.code === "EPERM") return undefined;
      throw failureOf(socket, error);
    });
    const open = async (): Promise<Socket> =>
      connected(applications, signal).catch((error: NodeJS.ErrnoException) => {
        // There is a daemon, and it has nothing for us.
        if (error.code === "ENOENT") error.code = "EACCES";
        throw failureOf(socket, error);
      });
    const connection = new ControlConnection(opened ?? (await open()), socket, opened === undefined);
    const close = (): void => connection.close();
    if (signal?.aborted) close();
    signal?.addEventListener("abort", close, { once: true });
    connection.#socket.once("close", () => signal?.removeEventListener("abort", close));
    return connection;
  }

  /** @throws DaemonError, ProtocolError; SubflowError with DENIED, BUSY, TIMEOUT or CLOSED */
  async ask<M extends ControlMethod>(
    method: M,
    params: ControlMethods[M]["params"],
  ): Promise<ControlMethods[M]["result"]> {
    const id = ++this.#lastId;
    const request: ControlRequest = { v: CONTROL_VERSION, id, method, params };
    const line = await new Promise<string>((resolve, reject) => {
      if (this.#error) return reject(this.#error);
      const timer = setTimeout(() => this.#onTimeout(), DEADLINE);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.write(`${JSON.stringify(request)}\n`);
    });
    return resultOf(line) as ControlMethods[M]["result"];
  }

  /** Ends it; whatever was asked fails with CLOSED. */
  close(): void {
    this.#socket.destroy();
    this.#end(CLOSED());
  }

  #onTimeout(): void {
    this.#end(new SubflowError("the Subflow daemon does not answer", { code: "TIMEOUT" }));
    this.#socket.destroy();
  }

  #end(error: Error): void {
    this.#error ??= error;
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(this.#error);
    }
    this.#pending.clear();
  }

  #take(chunk: string): void {
    let from = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", from)) {
      this.#pieces.push(chunk.slice(from, end));
      this.#answered(this.#pieces.join(""));
      this.#pieces = [];
      this.#size = 0;
      from = end + 1;
    }
    this.#pieces.push(chunk.slice(from));
    this.#size += chunk.length - from;
    if (this.#size > ANSWER_MAX) this.#socket.destroy();
  }

  /** What cannot be told apart, or is not of this protocol, answers whatever was asked first. */
  #answered(line: string): void {
    const [first] = this.#pending.keys();
    const id = idOf(line);
    const asked = id !== undefined && this.#pending.has(id) ? id : first;
    const pending = asked === undefined ? undefined : this.#pending.get(asked);
    if (asked === undefined || !pending) return;
    this.#pending.delete(asked);
    clearTimeout(pending.timer);
    pending.resolve(line);
  }
}

/** Characters of an answer: a snapshot of some hundred thousand connections. */
const ANSWER_MAX = 1 << 28;

function idOf(line: string): number | undefined {
  // Written first by every daemon; anything else is read when it is parsed.
  const id = /^\{"v":\d+,"id":(\d+),/.exec(line.slice(0, 60))?.[1];
  return id === undefined ? undefined : Number(id);
}

const CLOSED = (): SubflowError => new SubflowError("the Subflow daemon closed the connection", { code: "CLOSED" });

function connected(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const abort = (): void => {
      socket.destroy();
      reject(CLOSED());
    };
    if (signal?.aborted) return abort();
    signal?.addEventListener("abort", abort, { once: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      signal?.removeEventListener("abort", abort);
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

function failureOf(path: string, error: NodeJS.ErrnoException): SubflowError {
  if (error instanceof SubflowError) return error;
  switch (error.code) {
    case "EACCES":
    case "EPERM":
      return new SubflowError(
        `${path}: permission denied, and there is no socket for applications; be root or of its group`,
        { code: "DENIED", cause: error },
      );
    case "EAGAIN":
      return new SubflowError("the Subflow daemon is too busy; try again", { code: "BUSY", cause: error });
    case "EPIPE":
    case "ECONNRESET":
      return new SubflowError("the Subflow daemon closed the connection", { code: "CLOSED", cause: error });
    default:
      return new NoDaemonError(path, error);
  }
}

function resultOf(line: string): unknown {
  let response: Partial<ControlResponse> & { readonly error?: ControlFailure; readonly result?: unknown };
  try {
    response = JSON.parse(line);
  } catch {
    throw new ProtocolError(`what answers here is no Subflow daemon: ${JSON.stringify(line.slice(0, 80))}`);
  }
  const { v, error, result } = response ?? {};
  if (v !== CONTROL_VERSION) {
    throw new ProtocolError(
      `the Subflow daemon here speaks version ${JSON.stringify(v) ?? "?"} of the control protocol, this command version ` +
        `${CONTROL_VERSION}; use the command that came with the daemon, or start the daemon again with this version`,
    );
  }
  if (error?.code === "BUSY" || error?.code === "DENIED") throw new SubflowError(error.message, { code: error.code });
  if (error) throw new DaemonError(error);
  return result;
}
