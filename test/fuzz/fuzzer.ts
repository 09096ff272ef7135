import { Random } from "../../src/sim/index.ts";
import type { Coverage } from "./coverage.ts";
import { mutate } from "./mutate.ts";
import type { Target } from "./targets.ts";

/** Reading what ran takes as long as hundreds of inputs: before somebody looks so many are tried, or as many as that time takes. Milliseconds. */
const BATCH = 20_000;
const BATCH_TIME = 200;

export interface Fuzzed {
  readonly inputs: number;
  readonly messages: number;
  /** The inputs that reached something first, those of before among them. */
  readonly corpus: readonly Uint8Array[];
  /** Characters of our code that ran. */
  readonly reached: number;
}

/** An input with which a target did what it never may. */
export class FuzzError extends Error {
  override readonly name = "FuzzError";
  constructor(target: string, input: Uint8Array, cause: unknown) {
    super(`${target}: ${Buffer.from(input).toString("hex")}\n${(cause as Error).stack ?? cause}`, { cause });
  }
}

/** Runs one input. @throws FuzzError with the input where it fails */
export function runInput(name: string, { run }: Target, input: Uint8Array): number {
  try {
    return run(Uint8Array.from(input));
  } catch (error) {
    throw new FuzzError(name, input, error);
  }
}

/** Tries mutations of a corpus; what reaches a block that nothing reached before joins it. */
export class Fuzzer {
  readonly #name: string;
  readonly #target: Target;
  readonly #random: Random;
  /** undefined: nothing is looked at, and nothing kept, which is faster. */
  readonly #coverage: Coverage | undefined;
  readonly #corpus: Uint8Array[] = [];
  #inputs = 0;
  #messages = 0;

  constructor(name: string, target: Target, { seed, coverage }: { seed: number; coverage: Coverage | undefined }) {
    this.#name = name;
    this.#target = target;
    this.#random = new Random(seed);
    this.#coverage = coverage;
  }

  /** What is kept already. Of inputs that reach nothing new the later ones are left out. */
  begin(corpus: readonly Uint8Array[]): void {
    const shortestFirst = [...corpus, ...this.#target.seeds].sort((one, other) => one.length - other.length);
    if (!this.#coverage) return void this.#corpus.push(...shortestFirst);
    this.#coverage.look(true);
    this.#search(shortestFirst);
    if (this.#corpus.length === 0) this.#corpus.push(Uint8Array.of(0));
  }

  /** Another batch of inputs. */
  batch(): void {
    const { words } = this.#target;
    const inputs: Uint8Array[] = [];
    for (const begin = performance.now(); inputs.length < BATCH && performance.now() - begin < BATCH_TIME; ) {
      const input = mutate(this.#random.pick(this.#corpus), this.#corpus, words, this.#random);
      inputs.push(input);
      this.#run(input);
    }
    if (this.#isNew()) this.#search(inputs);
  }

  get result(): Fuzzed {
    return {
      inputs: this.#inputs,
      messages: this.#messages,
      corpus: this.#corpus,
      reached: this.#coverage?.reached ?? 0,
    };
  }

  #run(input: Uint8Array): void {
    this.#inputs++;
    this.#messages += runInput(this.#name, this.#target, input);
  }

  #isNew(): boolean {
    return this.#coverage?.look(false) ?? false;
  }

  /** Which of them it was is found by running them again, half by half. */
  #search(inputs: readonly Uint8Array[]): void {
    const [first] = inputs;
    if (first !== undefined && inputs.length === 1) return this.#keepNew(first);
    const middle = inputs.length >> 1;
    for (const half of [inputs.slice(0, middle), inputs.slice(middle)]) {
      for (const input of half) runInput(this.#name, this.#target, input);
      if (this.#isNew()) this.#search(half);
    }
  }

  #keepNew(input: Uint8Array): void {
    runInput(this.#name, this.#target, input);
    if (this.#coverage?.look(true)) this.#corpus.push(input);
  }
}
