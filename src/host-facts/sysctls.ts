import { readSysctl } from "../netlink/index.ts";

/**
 * Sysctls as a plan asks for them: files are slow beside netlink, and a host of containers has some for each of hundreds of
 * links. So each is read when it is first asked for, and again after {@link forget}.
 */
export class Sysctls {
  readonly #known = new Map<string, string | undefined>();
  readonly #read: (name: string) => string | undefined;
  #before = new Map<string, string | undefined>();
  #revision = 0;

  /** @param read stands in for the files in tests */
  constructor(read: (name: string) => string | undefined = readSysctl) {
    this.#read = read;
  }

  /** Another number when one is not what it was. */
  get revision(): number {
    return this.#revision;
  }

  get(name: string): string | undefined {
    if (this.#known.has(name)) return this.#known.get(name);
    const value = this.#read(name);
    if (this.#before.has(name) && this.#before.get(name) !== value) this.#revision++;
    this.#known.set(name, value);
    return value;
  }

  /** Somebody may have written since. */
  forget(): void {
    if (this.#known.size === 0) return;
    this.#before = new Map(this.#known);
    this.#known.clear();
  }
}
