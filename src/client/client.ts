import { ask } from "../control/index.ts";
import type { ConnectionExplanation } from "../engine/index.ts";
import type { ControlHello, Token, WatchedConnection } from "../types/index.ts";
import { type Change, changes, type WatchOptions } from "./changes.ts";
import { Watching } from "./watching.ts";

/**
 * The daemon of a network namespace. Programs of root and of the daemon's group see every connection, others their own, by the kernel's
 * word (SO_PEERCRED, and the user of the MPTCP socket).
 */
export class Client {
  readonly #netns: string | undefined;

  /** @param options netns: a name of /run/netns or a path; our own when absent */
  constructor({ netns }: { readonly netns?: string | undefined } = {}) {
    this.#netns = netns;
  }

  /** Who is there. @throws NoDaemonError; SubflowError */
  hello(): Promise<ControlHello> {
    return ask("hello", {}, { netns: this.#netns });
  }

  /** Every connection as it is now. @throws NoDaemonError; SubflowError */
  async list({ token }: { readonly token?: Token | undefined } = {}): Promise<WatchedConnection[]> {
    const found = new Map<Token, WatchedConnection>();
    const options = { netns: this.#netns, kinds: ["connection"], token, reconnects: false } as const;
    for await (const change of changes(options)) {
      if (change.type === "connection") found.set(change.connection.token, change.connection);
      if (change.type === "gone") found.delete(change.token);
      if (change.type === "complete") break;
    }
    return [...found.values()];
  }

  /**
   * Why a connection has the subflows that it has, and no others; undefined: there is no such connection, or it is somebody else's.
   * @throws NoDaemonError; DaemonError where the in-kernel path manager is in charge; SubflowError
   */
  async why(token: Token): Promise<ConnectionExplanation | undefined> {
    const [answer] = await ask("why", { tokens: [token] }, { netns: this.#netns });
    return (answer as ConnectionExplanation | null | undefined) ?? undefined;
  }

  /**
   * From now on a connection is planned by this policy, whatever rules say; `delay` ("64kB or 300ms") may stand beside its parameters. Programs that
   * are neither root's nor the daemon's may ask for their own connections, and for what the configuration lets them (`applications: { steer }`).
   * @throws NoDaemonError; DaemonError where the engine refuses; SubflowError with DENIED
   */
  async setPolicy(
    token: Token,
    policy: string,
    parameters: Readonly<Record<string, string | number | boolean>> = {},
  ): Promise<void> {
    await ask("policy.set", { token, policy, parameters }, { netns: this.#netns });
  }

  /** The connection is planned again as the configuration says, whatever was asked for before. @throws as {@link setPolicy} */
  async unsetPolicy(token: Token): Promise<void> {
    await ask("policy.unset", { token }, { netns: this.#netns });
  }

  /** State first, then changes, by events; {@link Watching.connections} is kept up to date. */
  watch(options: Omit<WatchOptions, "netns"> = {}): Watching {
    return new Watching({ ...options, netns: this.#netns });
  }

  /** The same for `for await`: the daemon is asked for more when what it said was taken. */
  changes(options: Omit<WatchOptions, "netns"> = {}): AsyncGenerator<Change, void, undefined> {
    return changes({ ...options, netns: this.#netns });
  }
}
