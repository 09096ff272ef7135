import { endpointKey, type HostMemory } from "../../host/index.ts";
import { ENDPOINT_FLAG, type Endpoint, type Limits } from "../../types/index.ts";

/** The daemon's own table in userspace mode: what the kernel keeps by itself in kernel mode. */
export interface Table {
  readonly endpoints: readonly Endpoint[];
  readonly limits: Limits;
}

/** What must outlive a kill -9, as JSON in the state file. */
export interface SavedHost {
  readonly owned: readonly string[];
  readonly foreign: readonly string[] | undefined;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly limits: Limits | undefined;
  readonly table: Table | undefined;
  /** The daemon ended well, and left what connections live by. */
  readonly clean?: boolean;
}

/** What Subflow has done to this namespace, kept over a kill -9. */
export class Memory implements HostMemory {
  afterCrash: boolean;
  readonly owned: Set<string>;
  foreign: ReadonlySet<string> | undefined;
  readonly yielded = new Set<string>();
  readonly sysctls: Map<string, string>;
  limits: Limits | undefined;
  /** As an earlier life left it. */
  readonly table: Table | undefined;
  #readTable: () => Table | undefined;
  readonly #save: (saved: SavedHost) => void;
  #clean = false;

  constructor(saved: Partial<SavedHost> | undefined, save: (saved: SavedHost) => void) {
    // A daemon that ends well takes its state file with it, or says so in it.
    this.afterCrash = saved !== undefined && !saved.clean;
    this.owned = new Set(saved?.owned ?? []);
    this.foreign = saved?.foreign && new Set(saved.foreign);
    this.sysctls = new Map(Object.entries(saved?.sysctls ?? {}));
    this.limits = saved?.limits;
    this.table = saved?.table;
    this.#readTable = () => this.table;
    this.#save = save;
  }

  /** From now on the table is written down as it is then. */
  followTable(read: () => Table): void {
    this.#readTable = read;
  }

  /**
   * Keeps in step with the table whose endpoint is whose, and writes down what is new; what is gone is nobody's.
   * @returns those of ours that somebody else took away
   */
  look(endpoints: readonly Endpoint[]): readonly string[] {
    const there = endpoints.filter(({ flags }) => !(flags & ENDPOINT_FLAG.implicit)).map(endpointKey);
    const keys = new Set(there);
    const gone = [...this.owned].filter((key) => !keys.has(key));
    for (const key of gone) this.owned.delete(key);
    const others = there.filter((key) => !this.owned.has(key));
    const { foreign } = this;
    const isNew = others.length !== foreign?.size || others.some((key) => !foreign.has(key));
    // After a crash ours may be among them: that is found out first.
    const isKnown = !this.afterCrash || foreign === undefined;
    if (isNew && isKnown) this.foreign = new Set(others);
    if ((isNew && isKnown) || gone.length > 0) this.save();
    // An earlier life may have taken its own away, and not written it down any more.
    return this.afterCrash ? [] : gone;
  }

  /**
   * Everything is put back but what connections live by: written down for the next life.
   * @param endpoints whether they are in the kernel's table, which outlives us @returns whether anything is left
   */
  leave({ endpoints }: { readonly endpoints: boolean }): boolean {
    this.limits = undefined;
    this.#readTable = () => undefined;
    if (!endpoints) this.owned.clear();
    this.#clean = this.owned.size > 0 || this.sysctls.size > 0;
    if (this.#clean) this.save();
    return this.#clean;
  }

  save(): void {
    const { owned, foreign, sysctls, limits } = this;
    const table = this.#readTable();
    this.#save({
      owned: [...owned],
      foreign: foreign && [...foreign],
      sysctls: Object.fromEntries(sysctls),
      limits,
      table,
      clean: this.#clean,
    });
  }
}
