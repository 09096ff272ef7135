import { chmodSync, existsSync, unlinkSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { loadNative } from "../netlink/index.ts";
import { CONTROL_VERSION, type ControlFailure, type ControlResponse } from "../types/index.ts";

/** A request is a short line: one beyond this is not ours. */
const LINE_BYTES_MAX = 64 * 1024;
/** Everybody who talks at once: a CLI each, and a dashboard or two. */
const CLIENTS_MAX = 64;

/** What handles requests. `answer` may be called later, once. */
export type ControlHandler = (
  method: string,
  params: unknown,
  answer: (result: unknown, failure?: ControlFailure) => void,
) => void;

/** Who may talk to the daemon beside root: the user it runs as, and the group of its socket. */
function isAllowed(socket: Socket): boolean {
  // Node does not show the descriptor of a socket elsewhere; without it the file mode alone decides.
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) return true;
  const peer = loadNative().peerCredentials(fd);
  if (typeof peer === "number") return false;
  return peer.uid === 0 || peer.uid === process.geteuid?.() || peer.gid === process.getegid?.();
}

/** JSON lines over a Unix socket: one request a line, one answer a line, matched by id. A bad line is answered, never fatal. */
export class ControlServer implements Disposable {
  readonly #path: string;
  readonly #handler: ControlHandler;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();

  constructor(path: string, handler: ControlHandler) {
    this.#path = path;
    this.#handler = handler;
    this.#server = createServer((socket) => this.#onClient(socket));
  }

  /** Resolves when clients may come. The caller holds the daemon's lock, so that a socket found here is a dead one's. */
  listen(): Promise<void> {
    if (existsSync(this.#path)) unlinkSync(this.#path);
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      // Group members may connect (0660); the umask keeps everybody else out from the first moment.
      const umask = process.umask(0o117);
      this.#server.listen(this.#path, () => {
        chmodSync(this.#path, 0o660);
        resolve();
      });
      process.umask(umask);
    });
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const client of this.#clients) client.destroy();
  }

  #onClient(socket: Socket): void {
    if (this.#clients.size >= CLIENTS_MAX || !isAllowed(socket)) {
      const message =
        this.#clients.size >= CLIENTS_MAX ? "too many clients" : "not allowed; be root or of the socket's group";
      socket.end(line({ v: CONTROL_VERSION, id: 0, error: { code: "REQUEST", message } }));
      return;
    }
    this.#clients.add(socket);
    socket.on("close", () => this.#clients.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setEncoding("utf8");
    let pending = "";
    socket.on("data", (chunk: string) => {
      pending += chunk;
      for (let end = pending.indexOf("\n"); end >= 0; end = pending.indexOf("\n")) {
        const request = pending.slice(0, end);
        pending = pending.slice(end + 1);
        if (request.trim() !== "") this.#onLine(socket, request);
      }
      if (pending.length > LINE_BYTES_MAX) {
        const message = `a request is at most ${LINE_BYTES_MAX} bytes`;
        socket.end(line({ v: CONTROL_VERSION, id: 0, error: { code: "REQUEST", message } }));
      }
    });
  }

  #onLine(socket: Socket, text: string): void {
    const respond = (response: ControlResponse): void => {
      if (socket.writable) socket.write(line(response));
    };
    const refuse = (id: number, message: string): void =>
      respond({ v: CONTROL_VERSION, id, error: { code: "REQUEST", message } });
    let request: unknown;
    try {
      request = JSON.parse(text);
    } catch (error) {
      return refuse(0, `not JSON: ${(error as Error).message}`);
    }
    const { v, id, method, params } = (request ?? {}) as Record<string, unknown>;
    const known = typeof id === "number" ? id : 0;
    if (v !== CONTROL_VERSION) return refuse(known, `this daemon speaks version ${CONTROL_VERSION}, not ${String(v)}`);
    if (typeof method !== "string") return refuse(known, "method is missing");
    try {
      this.#handler(method, params ?? {}, (result, failure) => {
        respond(
          failure ? { v: CONTROL_VERSION, id: known, error: failure } : { v: CONTROL_VERSION, id: known, result },
        );
      });
    } catch (error) {
      respond({ v: CONTROL_VERSION, id: known, error: { code: "INTERNAL", message: (error as Error).message } });
    }
  }
}

function line(response: ControlResponse): string {
  return `${JSON.stringify(response)}\n`;
}
