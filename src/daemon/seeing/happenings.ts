import type { Action, EngineEvent } from "../../engine/index.ts";
import type { Decision, Millis, MptcpEvent, Token, ToldHappening, WatchKind } from "../../types/index.ts";
import { describe } from "../trace.ts";
import { translate } from "../translate.ts";
import { happeningOf } from "./happening.ts";

/** Happenings kept for who reads slowly; the oldest make room, and are counted as lost. */
export const KEPT_MAX = 1000;

/** The decisions that are told. */
const SHOWN: ReadonlySet<string> = new Set<Action["type"]>([
  "subflow.create",
  "subflow.destroy",
  "subflow.setBackup",
  "address.announce",
  "address.remove",
]);

/** What led to a decision, in words. */
const OCCASIONS: Readonly<Partial<Record<EngineEvent["type"], string>>> = {
  "connection.established": "the connection is established",
  "subflow.established": "a subflow is established",
  "subflow.closed": "a subflow was closed",
  "subflow.priority": "the peer changed a priority",
  "address.announced": "the peer announced an address",
  "address.removed": "the peer took an address back",
  "kernel.snapshot": "comparison with the kernel",
  "connection.observed": "comparison with the kernel",
  "connection.measured": "what was measured of the paths",
  "action.done": "the kernel has done something",
  "action.failed": "the kernel has refused something",
  "command.received": "an endpoint or a limit was set or taken away",
  "config.changed": "the configuration",
  "host.addresses": "the host's addresses",
  "host.signals": "a Wi-Fi signal",
  "network.changed": "the network has changed",
  tick: "the time has come",
};

/** What came is put into words only for somebody who reads it, and as that one wants it. */
type Kept =
  | Decision
  /** Nobody knows what it was, or how much. */
  | { readonly kind: "missed" }
  | { readonly kind: "heard"; readonly at: Millis; readonly event: MptcpEvent }
  | { readonly kind: "done"; readonly at: Millis; readonly action: Action; readonly occasion: EngineEvent["type"] };

/** What a reader wants of what happened. */
export interface HappeningsWanted {
  readonly kinds: ReadonlySet<WatchKind>;
  readonly isShown: (token: Token | undefined) => boolean;
}

/** What happened last, numbered from 0, bounded. */
export class Happenings {
  #kept: Kept[] = [];
  /** Of the next one. */
  #next = 0;

  get next(): number {
    return this.#next;
  }

  /** What the kernel told. */
  event(at: Millis, event: MptcpEvent): void {
    this.#keep({ kind: "heard", at, event });
  }

  /** The kernel dropped events: at least one is missing here. */
  miss(): void {
    this.#keep({ kind: "missed" });
  }

  /** So much has happened and was not noted, because nobody watched: whoever stopped for that long is told how much. */
  pass(count: number): void {
    if (this.#kept.length > 0) this.#kept = [];
    this.#next += count;
  }

  /** @returns whether watchers are told of such actions */
  decision(at: Millis, action: Action, occasion: EngineEvent["type"]): boolean {
    if (!isShown(action)) return false;
    this.#keep({ kind: "done", at, action, occasion });
    return true;
  }

  /** A change of the host, as the command that it amounts to. */
  ofHost(type: string, text: string, at: Millis): void {
    this.#keep({ kind: "decision", at, type, token: undefined, text, because: "the plan for this host" });
  }

  clear(): void {
    this.#kept = [];
  }

  /** Of those from a number on, as many as are kept, at most `max`. `next`: the number behind the last of them; `lost`: those that are kept no longer. */
  from(
    number: number,
    max: number,
    wanted: HappeningsWanted,
  ): { readonly happenings: ToldHappening[]; readonly next: number; readonly lost: number } {
    const first = this.#next - this.#kept.length;
    const start = Math.max(number, first);
    const found = this.#kept.slice(start - first, start - first + max);
    return {
      happenings: found.flatMap((kept) => shown(kept, wanted)),
      next: start + found.length,
      lost: start - number + found.filter(({ kind }) => kind === "missed").length,
    };
  }

  #keep(kept: Kept): void {
    this.#kept.push(kept);
    this.#next++;
    // Seldom, for it moves all of them.
    if (this.#kept.length > 2 * KEPT_MAX) this.#kept = this.#kept.slice(-KEPT_MAX);
  }
}

/** Are people told of such actions? */
export function isShown({ type }: Action): boolean {
  return SHOWN.has(type);
}

function shown(kept: Kept, { kinds, isShown }: HappeningsWanted): ToldHappening[] {
  switch (kept.kind) {
    case "decision":
      return kinds.has("decision") && isShown(kept.token) ? [kept] : [];
    case "done": {
      const { at, action, occasion } = kept;
      const isWanted = kinds.has("decision") && isShown("token" in action ? action.token : undefined);
      return isWanted ? [decisionOf(at, action, occasion)] : [];
    }
    case "missed":
      return [];
    case "heard":
      return isShown(kept.event.token) ? heard(kept.at, kept.event, kinds) : [];
  }
}

function heard(at: Millis, event: MptcpEvent, kinds: ReadonlySet<WatchKind>): ToldHappening[] {
  const told: ToldHappening[] = [];
  const translated = kinds.has("event") ? translate(event) : undefined;
  const happening = translated && happeningOf(translated, at);
  if (happening) told.push(happening);
  // Bytes that nobody knows are nothing for JSON.
  if (kinds.has("kernel")) told.push({ kind: "kernel", at, event: { ...event, unknown: [] } });
  return told;
}

/** What was asked of the kernel, in words. */
export function decisionOf(at: Millis, action: Action, occasion: EngineEvent["type"]): Decision {
  const token = "token" in action ? action.token : undefined;
  const because = OCCASIONS[occasion] ?? occasion;
  return { kind: "decision", at, type: action.type, token, ...ends(action), text: describe(action), because };
}

/** What an action is about. */
function ends(action: Action): Pick<Decision, "local" | "remote" | "localId" | "backup"> {
  switch (action.type) {
    case "subflow.create": {
      const { local, remote, localId, backup } = action;
      return { local, remote, localId, backup };
    }
    case "subflow.destroy":
      return action.path;
    case "subflow.setBackup":
      return { ...action.path, backup: action.backup };
    case "address.announce": {
      const { address, port, localId, backup } = action;
      return { local: { address, port }, localId, backup };
    }
    case "address.remove":
      return { localId: action.localId };
    default:
      return {};
  }
}
