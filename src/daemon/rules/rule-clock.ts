import { type Config, haveTimes, rulesAt, toldRules } from "../../config/index.ts";
import type { Rule } from "../../engine/index.ts";
import type { Millis, ToldRules } from "../../types/index.ts";

/** How exactly times of rules are kept; whatever the clock of the host does, it is right again after so long. */
const LOOK: Millis = 15_000;

/** Rules whose time it is. Where some have times, they are looked at again now and then: a clock may be set, a host may sleep. */
export class RuleClock implements Disposable {
  readonly #onChange: (rules: readonly Rule[]) => void;
  #timer: NodeJS.Timeout | undefined;
  #last = "";
  #rules: Config["rules"] = [];

  /** @param onChange for connections that begin from now on */
  constructor(onChange: (rules: readonly Rule[]) => void) {
    this.#onChange = onChange;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** For people. */
  get told(): ToldRules {
    return toldRules(this.#rules, new Date());
  }

  /** @returns those whose time it is now */
  use(rules: Config["rules"]): readonly Rule[] {
    clearInterval(this.#timer);
    this.#rules = rules;
    const now = rulesAt(rules, new Date());
    this.#last = namesOf(now);
    if (haveTimes(rules)) this.#timer = setInterval(() => this.#look(rules), LOOK);
    return now;
  }

  #look(rules: Config["rules"]): void {
    const now = rulesAt(rules, new Date());
    if (namesOf(now) === this.#last) return;
    this.#last = namesOf(now);
    this.#onChange(now);
  }
}

function namesOf(rules: readonly Rule[]): string {
  return rules.map(({ name }) => name).join("\n");
}
