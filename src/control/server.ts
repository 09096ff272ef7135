import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { loadNative } from "../netlink/index.ts";
import type { ControlFailure } from "../types/index.ts";
import { Conversation, finish } from "./conversation.ts";
import type { ControlService } from "./service.ts";

/** Everybody who talks at once: a CLI each, and a dashboard or two. */
export const CLIENTS_MAX = 64;
/** Clients that are being sent away; more are dropped without a word. */
const LEAVING_MAX = 64;
/** Where all places are taken, a client that has said nothing for so long makes room. Milliseconds. */
const IDLE_MIN = 10_000;

/** Who may talk to the daemon beside root: the user it runs as, and the group of its socket. */
function isAllowed(socket: Socket): boolean {
  // Node does not show the descriptor of a socket elsewhere; without it the file mode alone decides.
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) return true;
  const peer = loadNative().peerCredentials(fd);
  if (typeof peer === "number") return false;
  return peer.uid === 0 || peer.uid === process.geteuid?.() || peer.gid === process.getegid?.();
}

/** JSON lines over a Unix socket: one request a line, one answer a line, matched by id. No client can harm another, or the server. */
export class ControlServer implements Disposable {
  readonly #path: string;
  readonly #service: ControlService;
  readonly #onFault: (error: unknown) => void;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #conversations = new Map<Socket, Conversation>();

  /** @param onFault hears of what goes wrong on our side: a socket that cannot be accepted, a service that throws */
  constructor(path: string, service: ControlService, onFault: (error: unknown) => void = () => undefined) {
    this.#path = path;
    this.#service = service;
    this.#onFault = onFault;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#onClient(socket));
    this.#server.maxConnections = CLIENTS_MAX + LEAVING_MAX;
  }

  /** Resolves when clients may come. The caller holds the daemon's lock, so that a socket found here is a dead one's. */
  async listen(): Promise<void> {
    rmSync(this.#path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      // Group members may connect (0660); the umask keeps everybody else out from the first moment.
      const umask = process.umask(0o117);
      this.#server.listen(this.#path, () => {
        this.#server.removeListener("error", reject);
        resolve();
      });
      process.umask(umask);
    });
    this.#server.on("error", this.#onFault);
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #onClient(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#conversations.delete(socket);
    });
    if (!isAllowed(socket)) return finish(socket, NOT_ALLOWED);
    if (this.#conversations.size >= CLIENTS_MAX && !this.#makeRoom()) return finish(socket, TOO_MANY);
    this.#conversations.set(socket, new Conversation(socket, this.#service, this.#onFault));
  }

  #makeRoom(): boolean {
    let [idle, longest] = [undefined as Socket | undefined, IDLE_MIN];
    for (const [socket, { idleFor }] of this.#conversations)
      if (idleFor >= longest) [idle, longest] = [socket, idleFor];
    if (!idle) return false;
    this.#conversations.get(idle)?.end(TOO_MANY);
    this.#conversations.delete(idle);
    return true;
  }
}

const NOT_ALLOWED: ControlFailure = { code: "DENIED", message: "not allowed; be root or of the socket's group" };
const TOO_MANY: ControlFailure = {
  code: "BUSY",
  message: `the daemon talks to ${CLIENTS_MAX} clients already; try again`,
};
