import type { Action, EngineEvent } from "../../engine/index.ts";
import { commandLine, type HostAction, type HostChange, type HostFact } from "../../host/index.ts";
import type { Beginning, Entry } from "../../recording/index.ts";
import type { Happening, Millis, Token } from "../../types/index.ts";
import { happeningOf } from "../seeing/happening.ts";
import { decisionOf, isShown } from "../seeing/happenings.ts";
import { translate } from "../translate.ts";

/** One thing that happened. */
export interface Step {
  /** Milliseconds since 1970. */
  readonly time: Millis;
  /** By the clock of the life. */
  readonly at: Millis;
  readonly token: Token | undefined;
  /** The kernel told of it; it was done for a connection, or for the host. */
  readonly kind: "event" | "done" | "host";
  readonly type: string;
  readonly happening: Happening;
}

/** Facts of the host that are questions answered, or time: nobody asks for them. */
const NO_CHANGES: ReadonlySet<string> = new Set(["say", "state.save", "sysctls.forget", "blackhole.forget"]);

/** What the entries of a recording tell of, step by step, with the names that interfaces had then. */
export class Teller {
  #beginning: Beginning | undefined;
  /** Names by numbers, and numbers by addresses. */
  readonly #names = new Map<number, string>();
  readonly #holders = new Map<string, string>();

  /** The time of day of a moment of the life at hand. Milliseconds since 1970. */
  timeOf(at: Millis): Millis {
    const { epoch = 0, at: from = 0 } = this.#beginning ?? {};
    return epoch + at - from;
  }

  /** The interface that has, or had, an address. */
  interfaceOf(address: string): string | undefined {
    return this.#holders.get(address);
  }

  tell(entry: Entry): readonly Step[] {
    switch (entry.type) {
      case "begin":
        this.#beginning = entry;
        return [];
      case "event":
        this.#learn(entry.event);
        return [...this.event(entry.event, entry.at), ...this.actions(entry.actions, entry.event, entry.at)];
      case "fact":
        this.#learnNetwork(entry.fact);
        return [...this.#ofKernel(entry.fact, entry.at), ...this.changes(entry.actions, entry.at)];
      default:
        return [];
    }
  }

  event(event: EngineEvent, at: Millis): readonly Step[] {
    const happening = happeningOf(event, at);
    return happening ? [this.#told(happening, "event")] : [];
  }

  /** Where the in-kernel path manager is in charge, the host alone hears of connections. */
  #ofKernel(fact: HostFact, at: Millis): readonly Step[] {
    if (fact.type !== "events" || this.#beginning?.pathManager !== "kernel") return [];
    return fact.events.flatMap((each) => {
      const event = translate(each);
      return event ? this.event(event, at) : [];
    });
  }

  /** What was, or would have been, asked of the kernel. */
  actions(actions: readonly Action[], cause: EngineEvent, at: Millis): readonly Step[] {
    return actions.filter(isShown).map((action) => this.#told(decisionOf(at, action, cause.type), "done"));
  }

  changes(actions: readonly HostAction[], at: Millis): readonly Step[] {
    return actions.filter(isChange).map((action) => {
      const text = commandLine(
        action,
        (index) => this.#names.get(index) ?? `if${index}`,
        () => "subflow",
      );
      return this.#told({ kind: "decision", at, type: action.type, token: undefined, text, because: "" }, "host");
    });
  }

  #told(happening: Happening, kind: Step["kind"]): Step {
    const { at, type, token } = happening;
    return { time: this.timeOf(at), at, token, kind, type, happening };
  }

  #learn(event: EngineEvent): void {
    if (event.type !== "host.addresses") return;
    for (const [address, name] of event.interfaceNames ?? []) this.#holders.set(address, name);
  }

  #learnNetwork(fact: HostFact): void {
    if (fact.type !== "network") return;
    for (const { index, name } of fact.network.links ?? []) this.#names.set(index, name);
    for (const { address, interfaceIndex } of fact.network.addresses ?? [])
      this.#holders.set(address, this.#names.get(interfaceIndex) ?? `if${interfaceIndex}`);
  }
}

function isChange(action: HostAction): action is HostChange {
  return !NO_CHANGES.has(action.type) && !/\.(read|find)$/.test(action.type);
}
