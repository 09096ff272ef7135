import {
  type Action,
  BOUNDS,
  type ConnectionSnapshot,
  type Engine,
  type EngineEvent,
  TABLE_BOUNDS,
  type Timing,
} from "../engine/index.ts";
import { type Millis, pathKey, sameAddress, type Token } from "../types/index.ts";
import type { SimConnection, SimKernel } from "./kernel.ts";
import type { Peer } from "./peer.ts";
import { Survival } from "./survival.ts";

/** A law that does not hold; the simulation adds seed and transcript. */
export class BrokenLaw extends Error {
  override readonly name: string = "BrokenLaw";
}

function must(holds: boolean, law: string): void {
  if (!holds) throw new BrokenLaw(law);
}

/** Watches events and actions as they pass and states, after each, what must be true. */
export class Checkers {
  readonly #timing: Timing;
  readonly #survival = new Survival();
  #lastAction = 0;
  readonly #established = new Map<Token, ConnectionSnapshot["initial"] & { readonly denied: boolean }>();
  readonly #created = new Map<Token, ConnectionSnapshot["initial"]>();
  /** Announced addresses by token and id. */
  readonly #announced = new Map<string, string>();
  readonly #removedAt = new Map<Token, Millis>();

  constructor(timing: Timing) {
    this.#timing = timing;
  }

  /** A new engine counts its actions anew and knows only what the kernel tells it. */
  restarted(): void {
    this.#lastAction = 0;
    this.#survival.restarted();
    this.#removedAt.clear();
    this.#established.clear();
    this.#created.clear();
    this.#announced.clear();
  }

  /** Before the engine sees the event. */
  saw(event: EngineEvent): void {
    this.#survival.saw(event);
    if (event.type === "subflow.established" && !this.#established.has(event.token)) {
      const initial = this.#created.get(event.token);
      if (initial) this.#established.set(event.token, { ...initial, denied: false });
    }
    if (event.type === "connection.created") this.#created.set(event.token, event.path);
    if (event.type === "connection.established") {
      this.#established.set(event.token, { ...event.path, denied: event.denyJoinId0 });
    } else if (event.type === "connection.closed") {
      this.#established.delete(event.token);
      this.#created.delete(event.token);
    }
    if (event.type === "kernel.snapshot") for (const { connection } of event.connections) this.#adopted(connection);
    else if (event.type === "connection.observed" && event.observed) this.#adopted(event.observed.connection);
  }

  #adopted({
    token,
    path,
    subflows,
  }: {
    token: Token;
    path: ConnectionSnapshot["initial"];
    subflows: readonly { fullyEstablished: boolean }[];
  }): void {
    this.#created.set(token, path);
    const known = this.#established.get(token);
    if (subflows.some((subflow) => subflow.fullyEstablished)) {
      this.#established.set(token, { ...path, denied: known?.denied ?? false });
    }
  }

  /** What the engine answered. */
  acted(actions: readonly Action[]): void {
    for (const action of actions) {
      must(action.id > this.#lastAction, "action ids count up and are never given twice");
      this.#lastAction = action.id;
      if (action.type === "subflow.create") this.#mayCreate(action);
      if (action.type === "address.announce")
        must(action.localId > 0 && action.localId <= 255, "id 0 is never announced");
    }
    this.#removesFirst(actions);
    const ended = this.#survival.ended(actions);
    must(
      ended === undefined,
      `the last subflow of a connection is never closed by us: ${ended}, ${JSON.stringify(actions)}`,
    );
  }

  #mayCreate(action: Extract<Action, { type: "subflow.create" }>): void {
    const initial = this.#established.get(action.token);
    must(initial !== undefined, "no subflow is created before its connection is established");
    if (!initial) return;
    const isInitial = sameAddress(action.local.address, initial.local.address);
    must(action.localId !== 0 || isInitial, `id 0 is the initial address: ${JSON.stringify(action)}`);
    must(!(initial.denied && action.remoteId === 0), "no join to the initial address of a peer that denies it");
    must(action.remote.port !== 0, "a subflow goes to a port");
  }

  /** An RM_ADDR went out. */
  removeSent(token: Token, now: Millis): void {
    const before = this.#removedAt.get(token) ?? Number.NEGATIVE_INFINITY;
    must(now - before >= this.#timing.removePace, "the peer gets time for one RM_ADDR before the next");
    this.#removedAt.set(token, now);
  }

  /** An address is withdrawn before the subflows from it are destroyed: DESTROY makes the kernel forget the id. */
  #removesFirst(actions: readonly Action[]): void {
    const destroyed = new Set<string>();
    for (const action of actions) {
      if (action.type === "subflow.destroy") destroyed.add(`${action.token} ${action.path.local.address}`);
      if (action.type !== "address.remove") continue;
      const removal = this.#announced.get(`${action.token} ${action.localId}`);
      must(
        removal === undefined || !destroyed.has(`${action.token} ${removal}`),
        `REMOVE goes before DESTROY: ${JSON.stringify(actions)}`,
      );
    }
    for (const action of actions) {
      if (action.type === "address.announce") this.#announced.set(`${action.token} ${action.localId}`, action.address);
      else if (action.type === "address.remove") this.#announced.delete(`${action.token} ${action.localId}`);
    }
  }
}

/** What holds of one connection at any time. */
export function checkConnection(connection: ConnectionSnapshot | undefined): void {
  if (!connection) return;
  must(connection.subflows.length <= BOUNDS.subflowsMax, "subflows are bounded");
  must(connection.remotes.length <= BOUNDS.remotesMax, "remote addresses are bounded");
  must(connection.attempts.length <= BOUNDS.attemptsMax, "attempts are bounded");
  must(connection.announced.length <= TABLE_BOUNDS.endpointsMax, "no more is announced than there are endpoints");
  const ids = connection.announced.map((announced) => announced.id);
  must(new Set(ids).size === ids.length, `an id is announced for one address: ${JSON.stringify(connection.announced)}`);
  must(
    connection.planRefused !== "" || connection.subflows.every((subflow) => subflow.state !== "arrived"),
    "every join is judged at once, unless the policy fails",
  );
}

/** When nothing is in flight: the engine's picture is the kernel's. */
export function checkPicture(engine: Engine, kernel: SimKernel): void {
  for (const connection of engine.snapshot().connections) {
    must(kernel.connections.has(connection.token), "what has ended is forgotten");
  }
  for (const connection of kernel.connections.values()) {
    if (connection.pathManager !== "userspace" || !connection.established) continue;
    const known = engine.connection(connection.token);
    must(known !== undefined, "every connection is known");
    if (known) checkSubflows(known, connection);
  }
}

/** What the kernel announces has reached the peer, once every retransmission has had its time. */
export function checkAnnouncements(kernel: SimKernel, peer: Peer): void {
  for (const { token, announced } of kernel.connections.values()) {
    for (const local of announced)
      must(peer.hasReceived(token, local), `no announcement is lost: ${local.address} of ${token}`);
  }
}

function checkSubflows(known: ConnectionSnapshot, connection: SimConnection): void {
  const mine = known.subflows.map(({ path }) => pathKey(path)).sort();
  const theirs = connection.subflows.map(({ path }) => pathKey(path)).sort();
  must(
    mine.join(" ") === theirs.join(" "),
    `the engine's subflows of ${known.token} are the kernel's: ${mine.join(" ")} | ${theirs.join(" ")}`,
  );
  const unjudged = known.planRefused === "" ? undefined : "arrived";
  must(
    known.subflows.every(({ state, held }) => state === "established" || state === unjudged || held),
    "nothing is creating or closing when nothing is in flight",
  );
  const normal = connection.subflows.filter(({ backup }) => !backup).map(({ path }) => pathKey(path));
  const wrong = known.subflows.find(({ path, backup }) => backup && normal.includes(pathKey(path)));
  must(wrong === undefined, `what is to be backup is so: ${wrong && pathKey(wrong.path)} of ${known.token}`);
  for (const { address, port } of known.announced) {
    must(
      connection.announced.some((announced) => announced.address === address && announced.port === port),
      `what the engine takes for announced is so: ${address} of ${known.token}`,
    );
  }
}
