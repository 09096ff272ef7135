import type { HostMemory } from "../../host/index.ts";
import type { Endpoint, Limits } from "../../types/index.ts";

/** What must outlive a kill -9, as JSON in the state file. */
export interface SavedHost {
  readonly owned: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly limits: Limits | undefined;
  /** The daemon's own table in userspace mode: what the kernel keeps by itself in kernel mode. */
  readonly table: { readonly endpoints: readonly Endpoint[]; readonly limits: Limits } | undefined;
}

/** What Subflow has done to this namespace, kept over a kill -9. */
export class Memory implements HostMemory {
  afterCrash: boolean;
  readonly owned: Set<string>;
  readonly yielded = new Set<string>();
  readonly sysctls: Map<string, string>;
  limits: Limits | undefined;
  table: SavedHost["table"];
  readonly #save: (saved: SavedHost) => void;

  constructor(saved: Partial<SavedHost> | undefined, save: (saved: SavedHost) => void) {
    // A daemon that ends well takes its state file with it.
    this.afterCrash = saved !== undefined;
    this.owned = new Set(saved?.owned ?? []);
    this.sysctls = new Map(Object.entries(saved?.sysctls ?? {}));
    this.limits = saved?.limits;
    this.table = saved?.table;
    this.#save = save;
  }

  save(): void {
    const { owned, sysctls, limits, table } = this;
    this.#save({ owned: [...owned], sysctls: Object.fromEntries(sysctls), limits, table });
  }
}
