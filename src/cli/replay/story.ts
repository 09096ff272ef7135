import { type Step, Teller } from "../../daemon/index.ts";
import type { Action, EngineEvent } from "../../engine/index.ts";
import type { HostAction } from "../../host/index.ts";
import type { Entry } from "../../recording/index.ts";
import { type Millis, unmap } from "../../types/index.ts";
import { happeningWords } from "../happening-words.ts";
import { cleaned } from "./clean.ts";

/** One thing that happened, in words. */
export interface Told extends Step {
  readonly words: string;
}

/** @param interfaceOf the name of the interface that had an address */
export function inWords(step: Step, interfaceOf: (address: string) => string | undefined): Told {
  const nameOf = (address: string): string | undefined => {
    const name = interfaceOf(address);
    return name === undefined ? undefined : cleaned(name);
  };
  return { ...step, words: happeningWords(cleaned(step.happening), ({ address }) => nameOf(unmap(address))) };
}

/** Puts the entries of a recording into words, with the names that interfaces had then. */
export class Storyteller {
  readonly #teller = new Teller();

  /** The time of day of a moment of the life at hand. Milliseconds since 1970. */
  timeOf(at: Millis): Millis {
    return this.#teller.timeOf(at);
  }

  tell(entry: Entry): readonly Told[] {
    return this.#inWords(this.#teller.tell(entry));
  }

  event(event: EngineEvent, at: Millis): readonly Told[] {
    return this.#inWords(this.#teller.event(event, at));
  }

  /** What was, or would have been, asked of the kernel. */
  actions(actions: readonly Action[], cause: EngineEvent, at: Millis): readonly Told[] {
    return this.#inWords(this.#teller.actions(actions, cause, at));
  }

  changes(actions: readonly HostAction[], at: Millis): readonly Told[] {
    return this.#inWords(this.#teller.changes(actions, at));
  }

  #inWords(steps: readonly Step[]): readonly Told[] {
    return steps.map((step) => inWords(step, (address) => this.#teller.interfaceOf(address)));
  }
}
