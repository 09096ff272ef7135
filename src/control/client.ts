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

/**
 * Asks the daemon of a network namespace one thing.
 * @param options netns: a name of /run/netns or a path, our own when absent; signal: ends the wait for an answer (CLOSED)
 * @throws NoDaemonError, DaemonError, ProtocolError; SubflowError with DENIED, BUSY, TIMEOUT or CLOSED
 */
export async function ask<M extends ControlMethod>(
  method: M,
  params: ControlMethods[M]["params"],
  options: { readonly netns?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<ControlMethods[M]["result"]> {
  const { socket: path } = runtimeFiles(options.netns);
  const request: ControlRequest = { v: CONTROL_VERSION, id: 1, method, params };
  return resultOf(await exchange(path, `${JSON.stringify(request)}\n`, options.signal)) as ControlMethods[M]["result"];
}

/** One line out, one line in. */
function exchange(path: string, line: string, signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(path);
    const pieces: string[] = [];
    const abort = (): void => void socket.destroy();
    signal?.addEventListener("abort", abort, { once: true });
    socket.setEncoding("utf8");
    socket.setTimeout(DEADLINE, () => {
      socket.destroy();
      reject(new SubflowError("the Subflow daemon does not answer", { code: "TIMEOUT" }));
    });
    socket.on("connect", () => socket.write(line));
    socket.on("error", (error: NodeJS.ErrnoException) => reject(failureOf(path, error)));
    socket.on("data", (chunk: string) => {
      const end = chunk.indexOf("\n");
      pieces.push(end < 0 ? chunk : chunk.slice(0, end));
      if (end < 0) return;
      socket.destroy();
      resolve(pieces.join(""));
    });
    socket.on("close", () => {
      signal?.removeEventListener("abort", abort);
      reject(new SubflowError("the Subflow daemon closed the connection", { code: "CLOSED" }));
    });
  });
}

function failureOf(path: string, error: NodeJS.ErrnoException): SubflowError {
  switch (error.code) {
    case "EACCES":
    case "EPERM":
      return new SubflowError(`${path}: permission denied; be root or of its group`, { code: "DENIED", cause: error });
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
