import type { SysctlRead } from "../../recording/index.ts";

/** More than a plan of thousands of links asks for: beyond, they are told again. */
const NOTED_MAX = 16_384;

/** Notes what was asked for, for who writes down what a decision was made from. */
export class NotedSysctls {
  readonly #sysctls: { get(name: string): string | undefined };
  readonly #noted = new Map<string, string | undefined>();
  #reads: SysctlRead[] = [];

  constructor(sysctls: { get(name: string): string | undefined }) {
    this.#sysctls = sysctls;
  }

  get(name: string): string | undefined {
    const value = this.#sysctls.get(name);
    if (value === this.#noted.get(name) && this.#noted.has(name)) return value;
    if (this.#noted.size >= NOTED_MAX) this.#noted.clear();
    this.#noted.set(name, value);
    this.#reads.push([name, value]);
    return value;
  }

  /** All that is known, as if it was asked for now. */
  all(): readonly SysctlRead[] {
    return [...this.#noted];
  }

  /** What was asked for since the last time and was not told as it is. */
  take(): readonly SysctlRead[] {
    if (this.#reads.length === 0) return NONE;
    const reads = this.#reads;
    this.#reads = [];
    return reads;
  }
}

const NONE: readonly SysctlRead[] = [];
