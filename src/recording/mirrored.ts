import type { Action, ConnectionMeasured, Engine, EngineEvent } from "../engine/index.ts";
import type { Path, Token } from "../types/index.ts";
import { wayOf } from "./estimate.ts";
import { observedOf } from "./observed.ts";

/** "10.0.1.1 443 10.0.1.2 50000" of a connection. */
function ends(token: Token, { local, remote }: Path): string {
  return `${token} ${local.address} ${local.port} ${remote.address} ${remote.port}`;
}

/**
 * Translates what was recorded for an engine that did otherwise: subflows that were opened by us then are not there now, or have other ports,
 * and what was closed by us is there still.
 */
export class Mirrored {
  readonly #engine: Engine;
  /** Ways of the subflows that were opened by us then. */
  readonly #ours = new Set<string>();
  /** Subflows that were closed by us then. */
  readonly #closed = new Set<string>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** What was done then. */
  learn(actions: readonly Action[]): void {
    for (const action of actions) {
      if (action.type === "subflow.create") this.#ours.add(wayOf(action.token, action.local.address, action.remote));
      else if (action.type === "subflow.destroy") this.#closed.add(ends(action.token, action.path));
    }
  }

  /** What this engine would have been told; nothing of what came of its own actions then. */
  translate(event: EngineEvent): EngineEvent | undefined {
    switch (event.type) {
      case "subflow.established":
        return this.#isOurs(event) ? undefined : event;
      case "subflow.closed":
        return this.#onClosed(event);
      case "subflow.priority": {
        const path = this.#pathNow(event);
        return path && { ...event, path };
      }
      case "action.done":
      case "action.failed":
      case "tick":
        return undefined;
      case "connection.observed":
        return this.#observed(event.token) ?? event;
      case "kernel.snapshot":
        return {
          ...event,
          connections: event.connections.map((each) => {
            const now = this.#observed(each.connection.token);
            return (now?.type === "connection.observed" && now.observed) || each;
          }),
        };
      case "connection.measured":
        return this.#measured(event);
      case "connection.closed":
        this.#forget(event.token);
        return event;
      default:
        return event;
    }
  }

  /** What the kernel would have shown: what the engine believes. */
  #observed(token: Token): EngineEvent | undefined {
    const known = this.#engine.connection(token);
    return known && observedOf(known);
  }

  #isOurs({ token, path }: { readonly token: Token; readonly path: Path }): boolean {
    return this.#ours.has(wayOf(token, path.local.address, path.remote));
  }

  /** The network has closed it then, and would have closed the one that is there now. */
  #onClosed(event: Extract<EngineEvent, { type: "subflow.closed" }>): EngineEvent | undefined {
    if (this.#closed.delete(ends(event.token, event.path))) return undefined;
    const path = this.#pathNow(event);
    return path && { ...event, path };
  }

  /** The same subflow here; undefined: there is none. */
  #pathNow({ token, path }: { readonly token: Token; readonly path: Path }): Path | undefined {
    const way = wayOf(token, path.local.address, path.remote);
    const subflows = this.#engine.connection(token)?.subflows ?? [];
    if (!this.#ours.has(way)) return subflows.find((each) => ends(token, each.path) === ends(token, path))?.path;
    return subflows.find((each) => wayOf(token, each.path.local.address, each.path.remote) === way)?.path;
  }

  /** Of subflows that nobody measured nothing is known. */
  #measured(event: ConnectionMeasured): EngineEvent | undefined {
    const subflows = event.subflows.flatMap((reading) => {
      const path = this.#pathNow({ token: event.token, path: reading.path });
      return path ? [{ ...reading, path }] : [];
    });
    return subflows.length > 0 ? { ...event, subflows } : undefined;
  }

  #forget(token: Token): void {
    for (const set of [this.#ours, this.#closed])
      for (const key of set) if (key.startsWith(`${token} `)) set.delete(key);
  }
}
