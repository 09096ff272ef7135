import type { Side } from "../../types/index.ts";
import type { Owner, Rule, RuleFacts } from "./rule.ts";
import { type Found, RuleIndex } from "./rule-index.ts";

/**
 * Rules with an order, compiled, for each side by itself: what decides only about clients is not looked at where this host is the server, which
 * costs time, and foresight (a peer's port is another each time).
 */
export class RuleSet {
  readonly rules: readonly Rule[];
  readonly #indexes: Readonly<Record<Side, RuleIndex>>;

  constructor(rules: readonly Rule[]) {
    this.rules = rules;
    this.#indexes = { client: new RuleIndex(rules, "client"), server: new RuleIndex(rules, "server") };
  }

  /** The first rule that matches. */
  find(facts: RuleFacts, owner: Owner | undefined): Found {
    return this.#indexes[facts.side].find(facts, owner);
  }

  /** Numbers of the rules that stand under something that these facts name, in order. */
  candidates(facts: RuleFacts, owner: Owner): readonly number[] {
    return this.#indexes[facts.side].candidates(facts, owner);
  }
}
