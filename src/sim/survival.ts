import type { Action, EngineEvent } from "../engine/index.ts";
import { type Connection, type Path, pathKey, type Token } from "../types/index.ts";

interface Living {
  readonly localId: number;
}

/**
 * The first law, stated apart from the engine's own code: of the subflows that the engine was told of, it never closes the last,
 * neither by DESTROY nor by an RM_ADDR that makes the peer do it.
 */
export class Survival {
  readonly #living = new Map<Token, Map<string, Living>>();

  /** A new engine knows only what it is told from now on. */
  restarted(): void {
    this.#living.clear();
  }

  /** Before the engine sees the event. */
  saw(event: EngineEvent): void {
    switch (event.type) {
      case "connection.created":
      case "connection.established":
        if (!this.#living.has(event.token)) this.#add(event.token, event.path, 0);
        return;
      case "subflow.established":
        if (this.#living.has(event.token)) this.#add(event.token, event.path, event.localId);
        return;
      case "subflow.closed":
        this.#living.get(event.token)?.delete(pathKey(event.path));
        return;
      case "connection.closed":
        this.#living.delete(event.token);
        return;
      case "kernel.snapshot":
        for (const { connection } of event.connections) this.#look(connection);
        return;
      case "connection.observed":
        if (event.observed) this.#look(event.observed.connection);
        return;
      default:
    }
  }

  /** What the engine answered. @returns the connection that it would end */
  ended(actions: readonly Action[]): Token | undefined {
    for (const action of actions) {
      if (action.type !== "subflow.destroy" && action.type !== "address.remove") continue;
      const living = this.#living.get(action.token);
      const before = living?.size ?? 0;
      if (action.type === "subflow.destroy") living?.delete(pathKey(action.path));
      else for (const [key, { localId }] of living ?? []) if (localId === action.localId) living?.delete(key);
      if (before > 0 && living?.size === 0) return action.token;
    }
    return undefined;
  }

  #add(token: Token, path: Path, localId: number): void {
    const living = this.#living.get(token) ?? new Map<string, Living>();
    this.#living.set(token, living.set(pathKey(path), { localId }));
  }

  #look({ token, subflows, pathManager }: Pick<Connection, "token" | "subflows" | "pathManager">): void {
    // Those of the in-kernel path manager are not taken over.
    const before = this.#living.get(token);
    if (!before && pathManager !== "userspace") return;
    // A look may be older than what was told since: a SYN in it may be a subflow by now.
    const alive = subflows.filter(({ state, path }) => state === "established" || before?.has(pathKey(path)));
    this.#living.set(token, new Map(alive.map(({ path, localId }) => [pathKey(path), { localId }])));
  }
}
