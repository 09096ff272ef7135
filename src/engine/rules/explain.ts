import { judge, type Need } from "./matching.ts";
import type { Owner, Rule, RuleFacts } from "./rule.ts";

/** Of one rule, why it is not the one; "": it is. */
export interface RuleReason {
  readonly rule: string;
  readonly reason: string;
}

const UNKNOWN = {
  socket: "whose socket it is was not said",
  process: "which command it is was not said",
} as const satisfies Record<Need, string>;

/** Every rule up to the one that matches, each with why it does not; the last one's reason is "" where one does. */
export function explainRules(
  rules: readonly Rule[],
  facts: RuleFacts,
  owner: Owner | undefined,
): readonly RuleReason[] {
  const reasons: RuleReason[] = [];
  for (const { name, match } of rules) {
    const verdict = judge(match, facts, owner);
    if (!verdict) return [...reasons, { rule: name, reason: "" }];
    reasons.push({ rule: name, reason: "needs" in verdict ? UNKNOWN[verdict.needs] : verdict.mismatch() });
  }
  return reasons;
}
