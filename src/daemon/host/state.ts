import { Memory, type SavedHost, type Table } from "../../host/index.ts";

/** The memory of a host, and the daemon's own table, as they are written down. */
export class HostState {
  readonly memory: Memory;
  /** The daemon's own table, as an earlier life left it. */
  readonly table: Table | undefined;
  readonly #write: (saved: SavedHost) => void;
  #readTable: () => Table | undefined;

  /** @param saved as an earlier life wrote it down; undefined: there was none */
  constructor(saved: Partial<SavedHost> | undefined, write: (saved: SavedHost) => void) {
    this.memory = new Memory(saved);
    this.table = saved?.table;
    this.#readTable = () => this.table;
    this.#write = write;
  }

  /** From now on the table is written down as it is then. */
  followTable(read: () => Table): void {
    this.#readTable = read;
  }

  save(): void {
    this.#write(this.memory.saved(this.#readTable()));
  }
}
