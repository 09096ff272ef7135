import { lstatSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { loadNative } from "../netlink/index.ts";
import type { ControlFailure } from "../types/index.ts";
import { type Allowance, Conversation, finish, GENEROUS, SPARSE } from "./conversation.ts";
import type { Asker, ControlService } from "./service.ts";

/** Everybody who talks at once: a CLI each, and a dashboard or two. */
export const CLIENTS_MAX = 64;
/** Clients that are being sent away; more are dropped without a word. */
const LEAVING_MAX = 64;
/** Where all places are taken, a client that has said nothing for so long makes room. Milliseconds. */
const IDLE_MIN = 10_000;
/** A client costs some 50 us even if it leaves at once: where so many come within a second, the door is shut for the rest of it. */
const ARRIVALS_MAX = 100;
const ARRIVALS_IN = 1000;

/** For whom a socket is, and what they may have of the daemon. */
export interface Audience {
  /** Nobody is sent away for who they are; nobody is trusted either. */
  readonly isPublic: boolean;
  readonly clients: number;
  /** Of one user at once. */
  readonly clientsOfUser: number;
  readonly allowance: Allowance;
  /** What is not allowed, of the file. */
  readonly umask: number;
}

/** Root, the daemon's user, and its group (0660). */
export const TRUSTED: Audience = {
  isPublic: false,
  clients: CLIENTS_MAX,
  clientsOfUser: CLIENTS_MAX,
  allowance: GENEROUS,
  umask: 0o117,
};
/** Everybody (0666): who asks is known by the kernel's word, and sees what is theirs. */
export const PUBLIC: Audience = { isPublic: true, clients: 32, clientsOfUser: 8, allowance: SPARSE, umask: 0o111 };

/** Nobody's uid. */
const UNKNOWN = -1;

interface Peer {
  readonly uid: number;
  readonly isTrusted: boolean;
}

/** Who may talk to the daemon beside root: the user it runs as, and the group of its socket. @param path of the socket */
function peerOf(socket: Socket, path: string): Peer {
  // Node does not show the descriptor of a socket elsewhere; without it the file mode alone decides.
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) return { uid: UNKNOWN, isTrusted: true };
  const peer = loadNative().peerCredentials(fd);
  if (typeof peer === "number") return { uid: UNKNOWN, isTrusted: false };
  const isTrusted = peer.uid === 0 || peer.uid === process.geteuid?.() || peer.gid === process.getegid?.();
  return { uid: peer.uid, isTrusted: isTrusted || isForGroupOnly(path) };
}

/**
 * The kernel's word for a peer (SO_PEERCRED) has its main group alone, but whoever was added to the daemon's group has that beside others. The
 * kernel has let them open the socket; that says so much where its file lets nobody else.
 */
function isForGroupOnly(path: string): boolean {
  const file = lstatSync(path, { throwIfNoEntry: false });
  const isOurs = file !== undefined && file.uid === process.geteuid?.() && file.gid === process.getegid?.();
  return isOurs && (file.mode & 0o007) === 0;
}

/** JSON lines over a Unix socket: one request a line, one answer a line, matched by id. No client can harm another, or the server. */
export class ControlServer implements Disposable {
  readonly #path: string;
  readonly #service: ControlService;
  readonly #onFault: (error: unknown) => void;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #conversations = new Map<Socket, { readonly talk: Conversation; readonly uid: number }>();
  readonly #audience: Audience;
  #isListening = false;
  #arrivals = 0;
  #arriving: NodeJS.Timeout | undefined;

  /** @param onFault hears of what goes wrong on our side: a socket that cannot be accepted, a service that throws */
  constructor(
    path: string,
    service: ControlService,
    { onFault = () => undefined, audience = TRUSTED }: { onFault?: (error: unknown) => void; audience?: Audience } = {},
  ) {
    this.#path = path;
    this.#service = service;
    this.#onFault = onFault;
    this.#audience = audience;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#onClient(socket));
    this.#server.maxConnections = audience.clients + LEAVING_MAX;
    this.#server.on("error", (error) => this.#isListening && this.#onFault(error));
  }

  /** Resolves when clients may come. The caller holds the daemon's lock, so that a socket found here is a dead one's. */
  async listen(): Promise<void> {
    rmSync(this.#path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#bind(() => {
        this.#server.removeListener("error", reject);
        resolve();
      });
    });
    this.#isListening = true;
  }

  /** The umask keeps out whom the socket is not for from the first moment. */
  #bind(then: () => void): void {
    const umask = process.umask(this.#audience.umask);
    this.#server.listen(this.#path, then);
    process.umask(umask);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#arriving);
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
    const { isPublic, allowance } = this.#audience;
    if (isPublic) this.#countArrival();
    const peer = peerOf(socket, this.#path);
    if (!isPublic && !peer.isTrusted) return finish(socket, NOT_ALLOWED);
    if (this.#isFull(peer) && !this.#makeRoom()) return finish(socket, this.#tooMany);
    const asker: Asker = {
      uid: peer.uid,
      isTrusted: peer.isTrusted && !isPublic,
      get isThere() {
        return !socket.destroyed;
      },
    };
    const talk = new Conversation(socket, { service: this.#service, asker, allowance, onFault: this.#onFault });
    this.#conversations.set(socket, { talk, uid: peer.uid });
  }

  #isFull({ uid }: Peer): boolean {
    const { clients, clientsOfUser } = this.#audience;
    if (this.#conversations.size >= clients) return true;
    if (clientsOfUser >= clients) return false;
    return [...this.#conversations.values()].filter((other) => other.uid === uid).length >= clientsOfUser;
  }

  #makeRoom(): boolean {
    let [idle, longest] = [undefined as Socket | undefined, IDLE_MIN];
    for (const [socket, { talk }] of this.#conversations)
      if (talk.idleFor >= longest) [idle, longest] = [socket, talk.idleFor];
    if (!idle) return false;
    this.#conversations.get(idle)?.talk.end(this.#tooMany);
    this.#conversations.delete(idle);
    return true;
  }

  /** Whoever comes while the door is shut is refused by the kernel, at no cost of ours. */
  #countArrival(): void {
    this.#arrivals++;
    this.#arriving ??= setTimeout(() => {
      this.#arriving = undefined;
      const wasShut = this.#arrivals >= ARRIVALS_MAX;
      this.#arrivals = 0;
      if (wasShut) this.#bind(() => undefined);
    }, ARRIVALS_IN);
    if (this.#arrivals === ARRIVALS_MAX) this.#server.close();
  }

  get #tooMany(): ControlFailure {
    const { clients, clientsOfUser } = this.#audience;
    const whose = clientsOfUser < clients ? `, or to ${clientsOfUser} of yours,` : "";
    return { code: "BUSY", message: `the daemon talks to ${clients} clients${whose} already; try again` };
  }
}

const NOT_ALLOWED: ControlFailure = { code: "DENIED", message: "not allowed; be root or of the socket's group" };
