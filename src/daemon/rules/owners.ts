import type { ConnectionOwner, Owner, OwnerQuery } from "../../engine/index.ts";
import { CgroupPaths, commandOf, hasSocket, processIds } from "../../host-facts/index.ts";
import { OwnerReader } from "../../netlink/index.ts";
import type { Millis, Token } from "../../types/index.ts";

/** So long at a stretch /proc is read, before whatever else there is to do. */
const SLICE: Millis = 1;

export interface OwnersOptions {
  readonly now: () => Millis;
  /** What was found out later than the question. */
  readonly onFound: (event: ConnectionOwner) => void;
  /** /proc keeps from us what other users' processes have open: said once. */
  readonly onDenied: () => void;
}

interface Search {
  readonly token: Token;
  readonly owner: Owner;
  readonly inode: number;
  readonly pids: Iterator<number>;
}

/** Finds out whose connections are, where a rule asks. Opens nothing before that. */
export class Owners implements Disposable {
  readonly #options: OwnersOptions;
  #reader: OwnerReader | undefined;
  #paths: CgroupPaths | undefined;
  readonly #searches: Search[] = [];
  #turn: NodeJS.Immediate | undefined;
  #isDenied = false;

  constructor(options: OwnersOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#turn);
    this.#reader?.[Symbol.dispose]();
  }

  /** @returns the answer; undefined: it comes by `onFound` */
  answer({ token, needs }: OwnerQuery): ConnectionOwner | undefined {
    this.#reader ??= new OwnerReader();
    const ids = this.#reader.read(token);
    const path = ids?.cgroup === undefined ? undefined : this.#cgroup(ids.cgroup);
    const socket = ids ? { uid: ids.uid, cgroup: path } : null;
    if (needs === "socket") return { type: "connection.owner", token, owner: { socket } };
    if (!ids || ids.inode === 0) return { type: "connection.owner", token, owner: { socket, command: null } };
    this.#searches.push({ token, owner: { socket }, inode: ids.inode, pids: processIds().values() });
    this.#turn ??= setImmediate(() => this.#search());
    return undefined;
  }

  #cgroup(id: number): string | undefined {
    this.#paths ??= new CgroupPaths();
    return this.#paths.pathOf(id);
  }

  /** One process after the other, a little at a time: nobody else waits for it. */
  #search(): void {
    const { now, onFound } = this.#options;
    this.#turn = undefined;
    const until = now() + SLICE;
    while (this.#searches.length > 0 && now() < until) {
      const [search] = this.#searches as [Search];
      const { value: pid, done } = search.pids.next();
      const found = done ? null : this.#commandIn(pid, search.inode);
      if (found === undefined) continue;
      this.#searches.shift();
      onFound({ type: "connection.owner", token: search.token, owner: { ...search.owner, command: found } });
    }
    if (this.#searches.length > 0) this.#turn = setImmediate(() => this.#search());
  }

  #commandIn(pid: number, inode: number): string | undefined {
    const has = hasSocket(pid, inode);
    if (has === undefined && !this.#isDenied) {
      this.#isDenied = true;
      this.#options.onDenied();
    }
    return has ? commandOf(pid) : undefined;
  }
}
