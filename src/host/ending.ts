import type { Address } from "../types/index.ts";
import type { HostChange, HostNote } from "./actions.ts";
import type { RestoreFact } from "./fact.ts";
import type { HostFacts } from "./facts.ts";
import { isFailure, type Memory } from "./memory.ts";
import { restoreHost } from "./reconcile.ts";

/** How far the host is as it was found. */
export interface Restored {
  /** Nothing was refused. */
  readonly isWhole: boolean;
  /** Something stays because connections live by it, and the next life must know that it is ours. */
  readonly isLeft: boolean;
}

/**
 * What makes the host as it was found, but for what connections live by. The daemon's own table ends with it, and taking its
 * endpoints back one by one would only close the subflows. `isNew`: there is something to write down before.
 */
export function putBack(
  { ofTable, inUse }: RestoreFact,
  facts: HostFacts,
  memory: Memory,
): { readonly changes: readonly HostChange[]; readonly isNew: boolean } {
  // What is gone already, by whomever, is not left to the next start.
  const { isNew } = memory.look(facts.endpoints);
  const changes = restoreHost(facts, memory, inUse).filter((change) => ofTable || !isOfTable(change));
  return { changes, isNew: memory.rememberOriginals(changes, facts.limits) || isNew };
}

/** What becomes of the memory when the changes were taken so, and what is said of what stays. */
export function leave(
  { ofTable, inUse }: RestoreFact,
  changes: readonly HostChange[],
  errnos: readonly number[],
  memory: Memory,
): { readonly restored: Restored; readonly isNew: boolean; readonly notes: readonly HostNote[] } {
  const isNew = memory.rememberOwnership(changes, errnos);
  const isWhole = !errnos.some(isFailure);
  const stays = ofTable ? [...memory.owned].filter((key) => inUse.bySubflows.has(key as Address)) : [];
  if (isWhole) memory.leave({ endpoints: ofTable });
  const isLeft = isWhole && memory.isSomethingLeft;
  return {
    restored: { isWhole, isLeft },
    isNew: isNew || isLeft,
    notes: stays.length > 0 ? [sayWhatStays(stays)] : [],
  };
}

function isOfTable({ type }: HostChange): boolean {
  return type.startsWith("endpoint.") || type === "limits.set";
}

function sayWhatStays(keys: readonly string[]): HostNote {
  const what = keys.length === 1 ? `endpoint ${keys[0]} stays` : `endpoints ${keys.join(", ")} stay`;
  const text = `${what}: connections have subflows from there; the next start takes over`;
  return { type: "say", level: "info", text };
}
