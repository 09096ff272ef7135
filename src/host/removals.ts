import type { Millis } from "../types/index.ts";
import type { HostNote } from "./actions.ts";

/** An endpoint of ours that vanished more often within the window is somebody else's will: it is let go. */
export const REMOVALS_MAX = 3;
export const REMOVALS_WINDOW: Millis = 60_000;

/** Endpoints of ours that somebody else took away: whoever does so again and again shall have it so. */
export class Removals {
  readonly #times = new Map<string, readonly Millis[]>();

  /** @returns what is to be said, and which of them are left to whoever removes them */
  note(
    gone: readonly string[],
    now: Millis,
  ): { readonly notes: readonly HostNote[]; readonly yielded: readonly string[] } {
    const notes: HostNote[] = [];
    const yielded: string[] = [];
    for (const key of gone) {
      const times = [...(this.#times.get(key) ?? []), now].filter((at) => now - at < REMOVALS_WINDOW);
      this.#times.set(key, times);
      if (times.length > REMOVALS_MAX) yielded.push(key);
      const text =
        times.length > REMOVALS_MAX
          ? `endpoint ${key} was removed ${times.length} times in a minute: it is left to whoever does so`
          : `endpoint ${key} was removed by somebody else: it is added again`;
      notes.push({ type: "say", level: "warn", text });
    }
    return { notes, yielded };
  }
}
