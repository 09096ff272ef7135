import { Session } from "node:inspector";

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly url: string;
  readonly functions: readonly { readonly functionName: string; readonly ranges: readonly Range[] }[];
}

/**
 * Which blocks of our own code have run, by V8's precise coverage. No library: those that guide by coverage (Jazzer.js, tried in version 4) bring a
 * library of C++ that Debian 12 cannot load.
 */
export class Coverage implements Disposable {
  readonly #session = new Session();
  readonly #isOurs: (url: string) => boolean;
  readonly #covered = new Map<string, Uint8Array>();

  constructor(isOurs: (url: string) => boolean) {
    this.#isOurs = isOurs;
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }

  /** Whether since the last look code ran that never had before; with `keep` it has from now on. */
  look(keep: boolean): boolean {
    let isNew = false;
    const { result } = this.#post("Profiler.takePreciseCoverage") as { result: readonly Script[] };
    for (const { url, functions } of result) {
      if (!this.#isOurs(url)) continue;
      for (const { ranges } of functions) if (this.#lookAt(url, ranges, keep)) isNew = true;
    }
    return isNew;
  }

  /** Characters of code that ran. */
  get reached(): number {
    let sum = 0;
    for (const covered of this.#covered.values()) for (const each of covered) sum += each;
    return sum;
  }

  /** V8 puts neighbours together where their counts happen to be the same: only which characters ran can be compared. */
  #lookAt(url: string, ranges: readonly Range[], keep: boolean): boolean {
    const [whole] = ranges;
    if (!whole || whole.count === 0) return false;
    const { startOffset: from, endOffset: to } = whole;
    const key = `${url}:${from}`;
    const before = this.#covered.get(key);
    const now = new Uint8Array(to - from);
    // A later range stands within an earlier one.
    for (const { startOffset, endOffset, count } of ranges)
      now.fill(count > 0 ? 1 : 0, startOffset - from, endOffset - from);
    const isNew = before === undefined || now.some((each, at) => each > (before[at] ?? 0));
    if (isNew && keep) this.#covered.set(key, before ? now.map((each, at) => each | (before[at] ?? 0)) : now);
    return isNew;
  }

  /** An answer comes before post(2) returns: the inspected thread is this one. */
  #post(method: string, parameters: object = {}): object {
    let answer: object = {};
    this.#session.post(method, parameters, (error, result) => {
      if (error) throw error;
      answer = result as object;
    });
    return answer;
  }
}
