import { ENDPOINT_FLAG, type Endpoint, ERRNO, type Limits } from "../types/index.ts";
import type { HostChange } from "./actions.ts";
import type { Table } from "./fact.ts";
import { endpointKey, type HostMemory } from "./facts.ts";

/** What must outlive a kill -9, as JSON in the state file. */
export interface SavedHost {
  readonly owned: readonly string[];
  readonly foreign: readonly string[] | undefined;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly limits: Limits | undefined;
  /** The daemon's own table in userspace mode: what the kernel keeps by itself in kernel mode. */
  readonly table: Table | undefined;
  /** The daemon ended well, and left what connections live by. */
  readonly clean?: boolean;
}

/** What "it is so already" looks like: somebody, or a link that went, was faster. */
const DONE_ALREADY: ReadonlySet<number> = new Set([0, ERRNO.EEXIST, ERRNO.ENOENT, ERRNO.ESRCH, ERRNO.ENODEV]);

/** Was a change refused, so that the host is not as it was to be? */
export function isFailure(errno: number): boolean {
  return !DONE_ALREADY.has(errno);
}

/** What Subflow has done to this namespace, kept over a kill -9. */
export class Memory implements HostMemory {
  afterCrash: boolean;
  readonly owned: Set<string>;
  foreign: ReadonlySet<string> | undefined;
  readonly yielded = new Set<string>();
  readonly sysctls: Map<string, string>;
  limits: Limits | undefined;
  #hasLeft = false;

  /** @param saved as an earlier life wrote it down; undefined: there was none */
  constructor(saved?: Partial<SavedHost>) {
    // A daemon that ends well takes its state file with it, or says so in it.
    this.afterCrash = saved !== undefined && !saved.clean;
    this.owned = new Set(saved?.owned ?? []);
    this.foreign = saved?.foreign && new Set(saved.foreign);
    this.sysctls = new Map(Object.entries(saved?.sysctls ?? {}));
    this.limits = saved?.limits;
  }

  /** To be written down. @param table the daemon's own, as it is now */
  saved(table: Table | undefined): SavedHost {
    return {
      owned: [...this.owned],
      foreign: this.foreign && [...this.foreign],
      sysctls: Object.fromEntries(this.sysctls),
      limits: this.limits,
      table: this.#hasLeft ? undefined : table,
      clean: this.#hasLeft && this.isSomethingLeft,
    };
  }

  /**
   * Keeps in step with the table whose endpoint is whose; what is gone is nobody's.
   * @returns those of ours that somebody else took away, and whether there is something new to write down
   */
  look(endpoints: readonly Endpoint[]): { readonly gone: readonly string[]; readonly isNew: boolean } {
    const there = endpoints.filter(({ flags }) => !(flags & ENDPOINT_FLAG.implicit)).map(endpointKey);
    const keys = new Set(there);
    const gone = [...this.owned].filter((key) => !keys.has(key));
    for (const key of gone) this.owned.delete(key);
    const others = there.filter((key) => !this.owned.has(key));
    const { foreign } = this;
    const differs = others.length !== foreign?.size || others.some((key) => !foreign.has(key));
    // After a crash ours may be among them: that is found out first.
    const isNew = differs && (!this.afterCrash || foreign === undefined);
    if (isNew) this.foreign = new Set(others);
    // An earlier life may have taken its own away, and not written it down any more.
    return { gone: this.afterCrash ? [] : gone, isNew: isNew || gone.length > 0 };
  }

  /**
   * What was there before us, of what is about to be changed.
   * @returns whether there is something new to write down, before it is
   */
  rememberOriginals(changes: readonly HostChange[], limitsBefore: Limits): boolean {
    let isNew = false;
    for (const change of changes) {
      if (change.type === "limits.set" && this.limits === undefined) this.limits = limitsBefore;
      else if (change.type === "sysctl.set" && change.before !== undefined && !this.sysctls.has(change.name)) {
        this.sysctls.set(change.name, change.before);
      } else continue;
      isNew = true;
    }
    return isNew;
  }

  /**
   * What is ours after these changes.
   * @param errnos how each was taken; 0: done
   * @returns whether there is something new to write down
   */
  rememberOwnership(changes: readonly HostChange[], errnos: readonly number[]): boolean {
    const before = [...this.owned, "and", ...this.sysctls.keys()].join();
    for (const [index, change] of changes.entries()) {
      const errno = errnos[index] ?? 0;
      // What was not taken back is still to be taken back.
      if (isFailure(errno)) continue;
      // What somebody else added a moment before us is theirs.
      if (change.type === "endpoint.add" && errno === 0) this.owned.add(endpointKey(change.endpoint));
      else if (change.type === "endpoint.adopt") this.owned.add(endpointKey(change));
      else if (change.type === "endpoint.delete") this.owned.delete(endpointKey(change));
      else if (change.type === "sysctl.set" && change.before === undefined) this.sysctls.delete(change.name);
    }
    return before !== [...this.owned, "and", ...this.sysctls.keys()].join();
  }

  /**
   * Everything is put back but what connections live by.
   * @param endpoints whether they are in the kernel's table, which outlives us
   */
  leave({ endpoints }: { readonly endpoints: boolean }): void {
    this.limits = undefined;
    this.#hasLeft = true;
    if (!endpoints) this.owned.clear();
  }

  /** The next life must know of it. */
  get isSomethingLeft(): boolean {
    return this.owned.size > 0 || this.sysctls.size > 0;
  }
}
