import { connect } from "node:net";
import {
  CONTROL_VERSION,
  type ControlFailure,
  type ControlMethod,
  type ControlMethods,
  type ControlRequest,
  type ControlResponse,
  SubflowError,
} from "../types/index.ts";
import { runtimeFiles } from "./runtime.ts";

/** Milliseconds that a daemon may take for an answer. */
const DEADLINE = 10_000;

/** No daemon answers in this network namespace. */
export class NoDaemonError extends SubflowError {
  constructor(socket: string, cause: unknown) {
    super(
      `no Subflow daemon answers in this network namespace (${socket}: ${(cause as NodeJS.ErrnoException).code}); ` +
        "start one with `subflow run`, or give the namespace back to the kernel with `sysctl -w net.mptcp.pm_type=0`",
      { code: "NO_DAEMON", cause },
    );
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
 * @param netns a name of /run/netns or a path; our own when absent
 * @throws NoDaemonError, DaemonError
 */
export function ask<M extends ControlMethod>(
  method: M,
  params: ControlMethods[M]["params"],
  options: { readonly netns?: string | undefined } = {},
): Promise<ControlMethods[M]["result"]> {
  const { socket: path } = runtimeFiles(options.netns);
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let pending = "";
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(DEADLINE, () =>
      fail(new SubflowError("the Subflow daemon does not answer", { code: "TIMEOUT" })),
    );
    socket.setEncoding("utf8");
    const request: ControlRequest = { v: CONTROL_VERSION, id: 1, method, params };
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const denied = error.code === "EACCES";
      fail(
        denied
          ? new SubflowError(`${path}: permission denied; be root or of its group`, { code: "DENIED", cause: error })
          : new NoDaemonError(path, error),
      );
    });
    socket.on("data", (chunk: string) => {
      pending += chunk;
      const end = pending.indexOf("\n");
      if (end < 0) return;
      socket.end();
      const response = JSON.parse(pending.slice(0, end)) as ControlResponse;
      if ("error" in response) reject(new DaemonError(response.error));
      else resolve(response.result as ControlMethods[M]["result"]);
    });
    socket.on("close", () => reject(new SubflowError("the Subflow daemon closed the connection", { code: "CLOSED" })));
  });
}
